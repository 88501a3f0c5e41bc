//! Style and icon of the pages, at URLs that change with their contents.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::domain::Digest;

const ICON: &str = include_str!("../../../static/icon.svg");

/// Style sheet and icon of the management page.
#[derive(Clone, Debug)]
pub struct Assets {
    style: Asset,
    icon: Asset,
}

/// Style sheet or icon of the management page: file name, media type and content.
#[derive(Clone, Debug)]
pub(in crate::web) struct Asset {
    name: String,
    media_type: &'static str,
    content: String,
}

impl Assets {
    /// Creates the assets from the management page's style sheet (text) and the built-in icon.
    pub(super) fn new(style: String) -> Self {
        Self {
            style: Asset::new("management", "css", "text/css; charset=utf-8", style),
            icon: Asset::new("icon", "svg", "image/svg+xml", ICON.to_owned()),
        }
    }

    /// Returns the file name of the management page's style sheet.
    pub(in crate::web) fn style(&self) -> &str {
        &self.style.name
    }

    /// Returns the file name of the management page's icon.
    pub(in crate::web) fn icon(&self) -> &str {
        &self.icon.name
    }

    /// Returns the style sheet or the icon of the management page, whichever has this file name.
    pub(in crate::web) fn named(&self, name: &str) -> Option<&Asset> {
        [&self.style, &self.icon].into_iter().find(|asset| asset.name == name)
    }
}

impl Asset {
    /// Creates a style sheet or icon whose file name contains a part of the digest of its content.
    fn new(stem: &str, extension: &str, media_type: &'static str, content: String) -> Self {
        let digest = hex::encode(Digest::of(content.as_bytes()).as_bytes());
        let digest = digest.get(..12).unwrap_or(&digest);
        Self { name: format!("{stem}-{digest}.{extension}"), media_type, content }
    }

    /// Returns the HTTP response with the content of this style sheet or icon.
    pub(in crate::web) fn respond(&self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, self.media_type))
            // A changed asset has another name, so browsers may cache this one for good.
            .insert_header((CACHE_CONTROL, "private, max-age=31536000, immutable"))
            .body(self.content.clone())
    }
}
