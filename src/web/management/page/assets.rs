//! What the pages link: a style and an icon, at addresses that change with what is there.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web;

use super::Failure;
use super::desk::Desk;
use crate::domain::Digest;

const ICON: &str = include_str!("../../../../static/icon.svg");

/// The style and the icon.
#[derive(Clone, Debug)]
pub struct Assets {
    style: Asset,
    icon: Asset,
}

#[derive(Clone, Debug)]
struct Asset {
    name: String,
    media_type: &'static str,
    content: String,
}

impl Assets {
    /// With this style.
    pub(in crate::web) fn new(style: String) -> Self {
        Self {
            style: Asset::new("management", "css", "text/css; charset=utf-8", style),
            icon: Asset::new("icon", "svg", "image/svg+xml", ICON.to_owned()),
        }
    }

    /// The style's file name.
    pub(super) fn style(&self) -> &str {
        &self.style.name
    }

    /// The icon's file name.
    pub(super) fn icon(&self) -> &str {
        &self.icon.name
    }
}

impl Asset {
    /// A name with a piece of the content's digest in it.
    fn new(stem: &str, extension: &str, media_type: &'static str, content: String) -> Self {
        let digest = hex::encode(Digest::of(content.as_bytes()).as_bytes());
        let digest = digest.get(..12).unwrap_or(&digest);
        Self { name: format!("{stem}-{digest}.{extension}"), media_type, content }
    }
}

pub(super) async fn answer(desk: Desk, name: web::Path<String>) -> Result<HttpResponse, Failure> {
    let set = desk.templates();
    let assets = [&set.assets.style, &set.assets.icon];
    let asset = assets.into_iter().find(|asset| asset.name == *name).ok_or(Failure::NoSuchPage)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.media_type))
        // Another content has another name.
        .insert_header((CACHE_CONTROL, "private, max-age=31536000, immutable"))
        .body(asset.content.clone()))
}
