//! `sentinel store backup`: writes a backup of the embedded store.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::failure::Failure;
use super::super::files::check_visible;
use super::super::global::Global;
use super::super::output;
use crate::settings::Backend;
use crate::store::sqlite::{BackupError, backup};

#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// New file for the backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct BackupJson {
    file: String,
    bytes: u64,
}

impl Backup {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        if settings.store.backend == Backend::Mongodb {
            return Err(Failure::usage(
                "only the embedded store can be backed up, and store.backend is \"mongodb\"; use mongodump",
            ));
        }
        check_visible(&self.file)?;
        let bytes = backup(&settings.store.path, &self.file)?;
        let file = self.file.display().to_string();
        if global.json {
            return output::json(&BackupJson { file, bytes });
        }
        output::line(format!("backed up to {}, {bytes} bytes, checked", output::plain(&file)))
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Exists(_)
            | BackupError::NoBackup(_)
            | BackupError::NotBackup(_)
            | BackupError::InUse(_) => Self::refused(error),
            BackupError::Write { .. } => Self::io(error),
            BackupError::Store(error) => error.into(),
        }
    }
}
