//! `sentinel store restore`: puts a backup in the place of the embedded store.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::failure::Failure;
use super::super::global::Global;
use super::super::output::{self, plain};
use crate::domain::{Clock, SystemClock};
use crate::settings::Backend;
use crate::store::sqlite::restore;

#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    /// Backup that `sentinel store backup` has written
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct RestoredJson {
    bytes: u64,
    file: String,
    replaced: Option<String>,
}

impl Restore {
    pub(in crate::cli) fn run(&self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        if settings.store.backend == Backend::Mongodb {
            return Err(Failure::usage(
                "only the embedded store can be restored, and store.backend is \"mongodb\"; use mongorestore",
            ));
        }
        let path = &settings.store.path;
        let restored = global.with_log(&settings, async || {
            let restored = restore(path, &self.file, SystemClock.now())?;
            tracing::info!(target: "audit", event = "store_restored", bytes = restored.bytes);
            Ok(restored)
        })?;
        let (file, bytes) = (absolute(path), restored.bytes);
        let replaced = restored.replaced.as_deref().map(absolute);
        if global.json {
            return output::of_change(output::json(&RestoredJson { bytes, file, replaced }));
        }
        let kept = match &replaced {
            Some(folder) => format!("; the replaced files are in {}", plain(folder)),
            None => String::new(),
        };
        let text = format!("restored to {}, {bytes} bytes, checked{kept}", plain(&file));
        output::of_change(output::line(text))
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
