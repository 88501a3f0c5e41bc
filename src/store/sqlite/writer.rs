//! The one thread that writes, many jobs to a commit.
//!
//! A durable commit costs a wait for the disk, whether it holds one change or a hundred. So the
//! thread takes what has queued up while the last commit was on its way to disk, runs it all in one
//! transaction, commits, and only then answers. A single caller waits no longer than for a commit of
//! its own; under load, commits are shared. A job that fails is undone alone, by a savepoint.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failed;
use crate::store::{Result, StoreError};

/// Jobs that may wait; beyond that, callers are told to come back.
const QUEUE: usize = 8192;
/// Jobs to a commit at most, so that the first of them does not wait for too long.
const BATCH: usize = 256;
/// How long a [`Pin`] stays where it is, so that what other processes write can be checkpointed.
const PIN: Duration = Duration::from_secs(1);

/// A job on its way through a batch.
trait Job: Send {
    /// Does the work, inside the batch's transaction. An error means that the work could not be undone
    /// by itself, so the batch must not be committed.
    fn execute(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    /// Answers, once the batch is on disk or has failed.
    fn settle(self: Box<Self>, committed: bool);
}

/// The writer's end of the queue. The thread ends with it, after all that was queued.
pub(super) struct Writer {
    queue: flume::Sender<Box<dyn Job>>,
    failed: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread; `reader` is another connection to the same file, for its [`Pin`].
    pub(super) fn start(connection: Connection, reader: Connection) -> Result<Self> {
        let (queue, jobs) = flume::bounded(QUEUE);
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || work(&connection, &Pin(reader), &jobs, &flag))
            .map_err(StoreError::unavailable)?;
        Ok(Self { queue, failed })
    }

    /// Whether the last batch could not be committed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Queues `work` and waits until it is on disk. A caller that stops waiting stops nothing.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { work: Some(work), result: None, reply });
        self.queue.try_send(job).map_err(|error| match error {
            flume::TrySendError::Full(_) => StoreError::Busy,
            flume::TrySendError::Disconnected(_) => stopped(),
        })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> StoreError {
    StoreError::unavailable("the writer has stopped")
}

/// Writes the version as it is: the smallest write that there is.
pub(super) fn write_version(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<rusqlite::Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
{
    fn execute(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.result = Some(in_savepoint(connection, work)?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, committed: bool) {
        let answer = match self.result {
            Some(Ok(value)) if committed => Ok(value),
            Some(Err(error)) => Err(failed(error)),
            _ => Err(StoreError::unavailable("the write could not be committed")),
        };
        // Nobody may be waiting any more; what is written stays written.
        let _ = self.reply.send(answer);
    }
}

/// Runs `work` so that it is undone alone if it fails. The outer error: it could not be.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<rusqlite::Result<T>> {
    run(connection, "SAVEPOINT job")?;
    let result = work(connection);
    // After some failures (disk full) SQLite has undone the whole transaction, savepoint and all.
    if result.is_err() && !connection.is_autocommit() {
        run(connection, "ROLLBACK TO job")?;
    }
    if !connection.is_autocommit() {
        run(connection, "RELEASE job")?;
    }
    Ok(result)
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Reads at the last commit, and does not stop reading. SQLite asks the system for the lock of a
/// snapshot only for the first connection of a process that reads there: while this one does, the
/// readers begin and end without a system call. It lets go before every write, since a log that is
/// being read from cannot be started over.
struct Pin(Connection);

impl Pin {
    /// Without it reading is slower, and nothing else.
    fn hold(&self) {
        let begun = run(&self.0, "BEGIN")
            .and_then(|()| self.0.prepare_cached("SELECT 1 FROM sqlite_schema")?.exists([]));
        if let Err(error) = begun {
            tracing::debug!(%error, "the last commit could not be pinned");
        }
    }

    fn release(&self) {
        if !self.0.is_autocommit()
            && let Err(error) = run(&self.0, "COMMIT")
        {
            tracing::debug!(%error, "a pin could not be released");
        }
    }
}

fn work(
    connection: &Connection,
    pin: &Pin,
    jobs: &flume::Receiver<Box<dyn Job>>,
    failed: &AtomicBool,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut written = false;
    loop {
        pin.hold();
        let first = jobs.recv_timeout(PIN);
        pin.release();
        match first {
            Ok(first) => batch.push(first),
            Err(flume::RecvTimeoutError::Timeout) => {
                // Beside an empty log SQLite asks the system for the size of the file at every read.
                if !written {
                    written = write_version(connection).is_ok();
                }
                continue;
            }
            Err(flume::RecvTimeoutError::Disconnected) => return,
        }
        // A panic would end the thread, and with it all writing, for good.
        let attempt = AssertUnwindSafe(|| commit_batch(connection, jobs, &mut batch));
        let committed = match catch_unwind(attempt) {
            Ok(Ok(committed)) => committed,
            Ok(Err(error)) => {
                tracing::error!(%error, "a commit failed");
                false
            }
            Err(_) => {
                tracing::error!("a write panicked");
                false
            }
        };
        failed.store(!committed, Ordering::Relaxed);
        written |= committed;
        if !committed {
            if !connection.is_autocommit() && run(connection, "ROLLBACK").is_err() {
                tracing::error!("a failed transaction could not be rolled back");
            }
            // What has been waiting meanwhile would wait as long again, one after the other.
            batch.extend(jobs.try_iter());
        }
        for job in batch.drain(..) {
            job.settle(committed);
        }
    }
}

/// Runs the first job and all that are waiting, and commits.
fn commit_batch(
    connection: &Connection,
    jobs: &flume::Receiver<Box<dyn Job>>,
    batch: &mut Vec<Box<dyn Job>>,
) -> rusqlite::Result<bool> {
    run(connection, "BEGIN IMMEDIATE")?;
    let mut done = 0;
    while let Some(job) = batch.get_mut(done) {
        job.execute(connection)?;
        if connection.is_autocommit() {
            // The transaction is gone, and the work of the jobs before this one with it.
            return Ok(false);
        }
        done += 1;
        if done < BATCH
            && let Ok(next) = jobs.try_recv()
        {
            batch.push(next);
        }
    }
    run(connection, "COMMIT")?;
    Ok(true)
}
