//! Template of the landing page, and its variables.

use serde::Serialize;
use tera::{Context, TeraResult};

/// File name of the template.
pub(super) const TEMPLATE: &str = "landing.html";

/// Variables of the template. Links are relative, since a proxy may serve the page under a path.
#[derive(Debug, Serialize)]
pub(super) struct LandingView {
    pub(super) style: String,
    pub(super) errors: Option<String>,
    pub(super) metadata: Option<String>,
    /// Link to the management page; only for a browser on this machine.
    pub(super) management: Option<String>,
    /// Version of Sentinel; only for a browser on this machine.
    pub(super) version: Option<&'static str>,
}

/// Returns the samples with which the template is checked.
pub(super) fn samples(style: &str) -> [(&'static str, TeraResult<Context>); 2] {
    [true, false].map(|is_full| {
        let link = || is_full.then(|| "./x".to_owned());
        let view = LandingView {
            style: style.to_owned(),
            errors: link(),
            metadata: link(),
            management: link(),
            version: is_full.then_some("1.0.0"),
        };
        (TEMPLATE, Context::from_serialize(&view))
    })
}
