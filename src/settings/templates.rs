//! `[templates]`: the operator's own templates.

use std::path::PathBuf;

use super::reader::Reader;

/// Settings of the operator's own templates, which replace built-in ones.
#[derive(Clone, Debug)]
pub struct TemplatesSettings {
    /// Folder of the operator's own templates; `None` for the built-in ones only.
    pub dir: Option<PathBuf>,
}

impl TemplatesSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { dir: reader.path("templates.dir") }
    }
}
