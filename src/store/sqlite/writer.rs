//! Writer thread with group commit.
//!
//! A durable commit waits for the disk, whether it contains one change or a hundred. The thread
//! therefore takes the jobs that were queued during the last commit, runs them in one transaction,
//! commits, and only then answers the callers. A single caller waits no longer than for a commit of
//! its own; under load, callers share commits. A job that fails is rolled back alone, by a
//! savepoint.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failed;
use super::file::{FileWatch, LOST};
use super::readers::leave_log;
use crate::observe::log::ANY_CALLER;
use crate::store::{LastWrite, Result, StoreError};

/// Capacity of the queue of the SQLite writer thread, in write jobs. If the queue is full, a caller
/// gets [`StoreError::Busy`].
const QUEUE: usize = 8192;
/// Maximum number of write jobs in one commit; limits how long the first of these jobs waits.
const BATCH: usize = 256;
/// Maximum age of a [`SnapshotPin`] (read transaction held open). The pin is renewed so that
/// commits of other processes can be checkpointed.
const PIN_MAX_AGE: Duration = Duration::from_secs(1);

/// Write job that is waiting for its batch (the jobs of one commit).
trait BatchJob: Send {
    /// Runs the job in the transaction of its batch (the jobs of one commit). An error means that
    /// the changes of the job could not be rolled back alone, so the batch must not be committed.
    fn execute(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    /// Sends the result of the job to its caller, after the batch was committed, or has failed for
    /// the given reason.
    fn finish(self: Box<Self>, committed: Result<(), &'static str>);
}

/// Reason for which the jobs of a batch fail that cannot be committed.
const NOT_COMMITTED: &str = "the write could not be committed";

/// Sending end of the job queue of the writer thread. When this value is closed or dropped, the
/// thread runs the queued jobs, copies the write-ahead log to the file and exits.
pub(super) struct Writer {
    /// `None` after the writer was closed.
    queue: RwLock<Option<flume::Sender<Box<dyn BatchJob>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the writer thread. `reader` is another connection to the same file, for the
    /// [`SnapshotPin`] (read transaction held open). The thread records in `last_write` each commit
    /// that changes something or fails.
    pub(super) fn start(
        connection: Connection,
        reader: Connection,
        watch: FileWatch,
        last_write: Arc<LastWrite>,
    ) -> Result<Self> {
        let (queue, jobs) = flume::bounded(QUEUE);
        let mut thread = WriterThread { connection, pin: SnapshotPin(reader), watch, last_write };
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                // Without this thread, all writes would fail until a restart of the server.
                while catch_unwind(AssertUnwindSafe(|| thread.run(&jobs))).is_err() {
                    tracing::error!("the writer of the embedded store panicked; it goes on");
                }
                thread.close();
            })
            .map_err(StoreError::unavailable)?;
        Ok(Self { queue: RwLock::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Stops the writer thread after the queued jobs, and closes its connections. Later jobs fail.
    /// Blocks the thread.
    pub(super) fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread goes on after a panic.
        let _ = thread.map(JoinHandle::join);
    }

    /// Queues `work` for the writer thread, waits until its changes are on disk, and returns its
    /// result. The write happens even if the caller stops waiting.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(WriteJob { work: Some(work), result: None, reply });
        self.send(job)?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn send(&self, job: Box<dyn BatchJob>) -> Result<()> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(job).map_err(|error| match error {
            flume::TrySendError::Full(_) => StoreError::Busy,
            flume::TrySendError::Disconnected(_) => stopped(),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn stopped() -> StoreError {
    StoreError::unavailable("the writer has stopped")
}

/// Rewrites the schema version of the SQLite file unchanged, which is the smallest possible write.
pub(super) fn write_version(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}

struct WriteJob<T, F> {
    work: Option<F>,
    result: Option<rusqlite::Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> BatchJob for WriteJob<T, F>
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

    fn finish(self: Box<Self>, committed: Result<(), &'static str>) {
        let answer = match (self.result, committed) {
            (Some(Err(error)), _) => Err(failed(error)),
            (_, Err(reason)) => Err(StoreError::unavailable(reason)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::unavailable(NOT_COMMITTED)),
        };
        // The caller may be gone. The write stays committed.
        let _ = self.reply.send(answer);
    }
}

/// Runs `work` in a savepoint, rolls back its changes alone if it fails, and returns its result.
/// The outer error means that setting, rolling back or releasing the savepoint failed.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<rusqlite::Result<T>> {
    run(connection, "SAVEPOINT job")?;
    let result = work(connection);
    // After some errors, such as a full disk, SQLite has rolled back the whole transaction.
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

/// Read transaction that stays open at the last commit. SQLite takes the file lock of a snapshot
/// only for the first connection of a process that reads it, so that while the pin is held, the
/// other readers begin and end without a system call. The pin is released before every write, since
/// SQLite cannot restart a write-ahead log that is being read.
struct SnapshotPin(Connection);

impl SnapshotPin {
    /// Begins the read transaction that the pin holds open. If this fails, reads are slower but
    /// correct.
    fn hold(&self) {
        let begun = run(&self.0, "BEGIN")
            .and_then(|()| self.0.prepare_cached("SELECT 1 FROM sqlite_schema")?.exists([]));
        if let Err(error) = begun {
            tracing::debug!(%error, "cannot hold a read transaction open; reads are slower");
        }
    }

    fn release(&self) {
        if !self.0.is_autocommit()
            && let Err(error) = run(&self.0, "COMMIT")
        {
            tracing::debug!(%error, "cannot end the read transaction that is held open");
        }
    }
}

/// State of the writer thread. The fields are closed in this order.
struct WriterThread {
    pin: SnapshotPin,
    connection: Connection,
    watch: FileWatch,
    last_write: Arc<LastWrite>,
}

impl WriterThread {
    /// Runs jobs until the sending end of the queue is dropped.
    fn run(&mut self, jobs: &flume::Receiver<Box<dyn BatchJob>>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut written = false;
        loop {
            self.pin.hold();
            let first = jobs.recv_timeout(PIN_MAX_AGE);
            self.pin.release();
            let is_intact = self.watch.is_intact();
            match first {
                Ok(first) => batch.push(first),
                Err(flume::RecvTimeoutError::Timeout) => {
                    // With an empty log, SQLite asks the system for the size of the file at every
                    // read.
                    if is_intact && !written {
                        let started = Instant::now();
                        written = write_version(&self.connection).is_ok();
                        self.last_write.record(started, written);
                    }
                    continue;
                }
                Err(flume::RecvTimeoutError::Disconnected) => return,
            }
            let (started, changes) = (Instant::now(), self.connection.total_changes());
            let committed = match is_intact {
                true => self.commit(jobs, &mut batch),
                false => Err(LOST),
            };
            // A commit without a change writes nothing, and succeeds on a full disk too.
            if committed.is_err() || self.connection.total_changes() != changes {
                self.last_write.record(started, committed.is_ok());
            }
            written |= committed.is_ok();
            if committed.is_err() {
                // The jobs that are waiting fail too: otherwise each would wait as long, one after
                // another.
                batch.extend(jobs.try_iter());
            }
            for job in batch.drain(..) {
                job.finish(committed);
            }
        }
    }

    /// Runs and commits a batch. Logs a failure and rolls the batch back.
    fn commit(
        &self,
        jobs: &flume::Receiver<Box<dyn BatchJob>>,
        batch: &mut Vec<Box<dyn BatchJob>>,
    ) -> Result<(), &'static str> {
        let connection = &self.connection;
        // After a panic, the jobs of the batch get an answer.
        let attempt = AssertUnwindSafe(|| commit_batch(connection, jobs, batch));
        let committed = match catch_unwind(attempt) {
            Ok(Ok(committed)) => committed,
            Ok(Err(error)) => {
                tracing::error!(
                    name: ANY_CALLER,
                    %error,
                    "a commit to the embedded store failed; its writes are answered 503, check the disk"
                );
                false
            }
            Err(_) => {
                tracing::error!(
                    name: ANY_CALLER,
                    "a write to the embedded store panicked, which is a defect in Sentinel; the \
                     writes of its commit are answered 503"
                );
                false
            }
        };
        if committed {
            return Ok(());
        }
        if !connection.is_autocommit() && run(connection, "ROLLBACK").is_err() {
            tracing::error!(
                name: ANY_CALLER,
                "cannot roll back a failed transaction; writes are answered 503 until a \
                 rollback succeeds, or restart the server"
            );
        }
        Err(NOT_COMMITTED)
    }

    /// Copies the write-ahead log to the file and closes the connections, so that the file alone is
    /// the whole store. If another process has the store open, its log remains, and if that process
    /// is reading, so does a part of the log's content.
    fn close(mut self) {
        if !self.watch.is_intact() {
            leave_log(&self.pin.0);
            leave_log(&self.connection);
            return;
        }
        let Self { pin, connection, .. } = self;
        drop(pin);
        // Does not wait for readers in other processes: their log remains in any case.
        let copied = connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if let Err(error) = copied {
            tracing::warn!(
                %error,
                "the write-ahead log was not copied to the store; it remains beside the file, and \
                 belongs to it: do not remove it"
            );
        }
    }
}

/// Runs the first job of the batch and the write jobs that are waiting in the queue, and commits
/// their changes. Returns `true`, or `false` if SQLite has rolled back the transaction.
fn commit_batch(
    connection: &Connection,
    jobs: &flume::Receiver<Box<dyn BatchJob>>,
    batch: &mut Vec<Box<dyn BatchJob>>,
) -> rusqlite::Result<bool> {
    run(connection, "BEGIN IMMEDIATE")?;
    let mut done = 0;
    while let Some(job) = batch.get_mut(done) {
        job.execute(connection)?;
        if connection.is_autocommit() {
            // SQLite has rolled back the transaction, with the work of the earlier jobs.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    /// Job that panics where no job is expected to.
    struct FaultyJob;

    impl BatchJob for FaultyJob {
        fn execute(&mut self, _: &Connection) -> rusqlite::Result<()> {
            Ok(())
        }

        #[allow(clippy::panic, reason = "the thread has to survive it")]
        fn finish(self: Box<Self>, _: Result<(), &'static str>) {
            panic!("on purpose");
        }
    }

    #[tokio::test]
    async fn writer_goes_on_after_panic() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("sentinel.db")).unwrap();
        let writer = store.writer.as_ref().unwrap();
        for _ in 0..3 {
            writer.send(Box::new(FaultyJob)).unwrap();
            // A write in the batch of the faulty job gets no result, so it fails.
            let _ = writer.run(write_version).await;
            writer.run(write_version).await.unwrap();
        }
    }
}
