//! Files of records that commands read and write.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::failure::Failure;
use super::interrupt::{Interrupt, PipeReader};
use crate::app::private_folder;
use crate::import::lines::LinesError;

/// File format of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// CSV with a header line
    Csv,
    /// JSON Lines: one object per line
    Jsonl,
}

impl Format {
    /// Returns the file format `given`, or else the format that the file name extension stands for.
    pub(super) fn of(given: Option<Self>, file: &Path) -> Result<Self, Failure> {
        let extension = file.extension().and_then(|extension| extension.to_str());
        let named = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Some(Self::Csv),
            Some("jsonl" | "ndjson" | "json") => Some(Self::Jsonl),
            _ => None,
        };
        given.or(named).ok_or_else(|| {
            Failure::usage(
                "the file name extension is not .csv or .jsonl; use --format csv or jsonl",
            )
        })
    }
}

/// Returns whether `file` is `-`, which means standard input or standard output.
pub(super) fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

/// Opens a file, a pipe or standard input for reading. Also returns the length in bytes of a file.
/// Reading from a pipe fails once `interrupt` is set.
pub(super) fn open(
    file: &Path,
    interrupt: &Interrupt,
) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    let failed = |error| Failure::io(format!("cannot read {}: {error}", file.display()));
    let opened = if is_standard(file) {
        io::stdin().as_fd().try_clone_to_owned().map(File::from)
    } else {
        File::open(file)
    };
    let opened = opened.map_err(failed)?;
    let metadata = opened.metadata().map_err(failed)?;
    if metadata.is_file() {
        return Ok((Box::new(opened), Some(metadata.len())));
    }
    Ok((Box::new(PipeReader { pipe: opened, interrupt: interrupt.clone() }), None))
}

impl From<LinesError> for Failure {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::Read(_) => Self::io(error),
            LinesError::TooLong(_) | LinesError::Incomplete(_) => Self::refused(error),
        }
    }
}

/// Refuses to write a result to a file that no other process would see.
///
/// # Errors
/// [`Failure::refused`] if the file is in a folder that systemd has mounted for this service alone.
pub(super) fn check_visible(file: &Path) -> Result<(), Failure> {
    private_folder(file).map_or(Ok(()), |reason| Err(Failure::refused(reason)))
}

/// New file that only its owner can read, or standard output. An unfinished file is removed when
/// the value is dropped.
pub(super) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    unfinished: Option<PathBuf>,
}

impl Output {
    pub(super) fn create(file: &Path) -> Result<Self, Failure> {
        if is_standard(file) {
            let writer = BufWriter::new(Box::new(io::stdout().lock()) as Box<dyn Write>);
            return Ok(Self { writer, unfinished: None });
        }
        check_visible(file)?;
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.write(true).create_new(true).open(file).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                let file = file.display();
                Failure::refused(format!("{file} already exists; an export overwrites nothing"))
            } else {
                Failure::io(format!("cannot write {}: {error}", file.display()))
            }
        })?;
        let writer = BufWriter::new(Box::new(opened) as Box<dyn Write>);
        Ok(Self { writer, unfinished: Some(file.to_owned()) })
    }

    /// Writes bytes to the file or standard output. Returns `false` if the reader has closed the
    /// pipe (`| head`).
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        ignore_broken_pipe(self.writer.write_all(bytes))
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        ignore_broken_pipe(self.writer.flush())?;
        self.unfinished = None;
        Ok(())
    }
}

/// Returns `true` for success, and `false` if the reader has closed the pipe. Other errors are
/// failures.
fn ignore_broken_pipe(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::io(format!("cannot write the export: {error}"))),
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(file) = &self.unfinished {
            // The export has failed, and that failure is reported already.
            let _ = std::fs::remove_file(file);
        }
    }
}
