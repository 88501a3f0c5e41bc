//! Connections to Redis: one per thread, kept open and shared by all calls of the thread.
//!
//! Calls are pipelined: a call is sent without waiting for earlier answers. A call on a connection
//! that Redis or the network has closed while it was idle is repeated once on a new connection. If
//! Redis does not answer in time, all further calls fail at once, and a background task tries to
//! reconnect. So an unresponsive Redis delays only the calls that are already in progress.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, Cmd, RedisError, RedisResult, cmd};
use deadpool_redis::{Connection, Manager, Pool, PoolError};
use prometheus::IntCounter;
use thread_local::ThreadLocal;

use super::invalidation::INSTANCE_KEY;
use super::memory::RedisMemory;
use crate::domain::RandomError;
use crate::observe::metrics::{self, Metrics};
use crate::store::{DeliveryError, StoreError};

/// Time limit for an answer of Redis to one call.
const ANSWER: Duration = Duration::from_millis(500);
/// Time limit for opening a connection to Redis.
const CONNECT: Duration = Duration::from_secs(1);
/// Minimum idle time of a Redis connection before a timeout counts as a dropped connection.
const IDLE: Duration = Duration::from_secs(1);
/// Delay between two attempts to reconnect to Redis.
const RETRY: Duration = Duration::from_millis(250);
/// Maximum number of connections to Redis, greater than the number of threads that use them.
const CONNECTIONS: usize = 1024;

/// Reason why a call to Redis failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RedisCallError {
    /// Redis is known to be unavailable, and the call was not sent.
    #[error("Redis does not answer")]
    Down,
    /// No connection to Redis could be opened.
    #[error("cannot connect to Redis")]
    Connect(#[source] Box<PoolError>),
    /// The call needs random bytes, and the operating system supplies none.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Redis answered the call with an error, or the connection failed during the call.
    #[error("Redis failed")]
    Call(#[from] RedisError),
}

impl RedisCallError {
    /// Returns whether the connection was closed, during a call or while it was opened.
    fn is_closed(&self) -> bool {
        match self {
            Self::Call(error) => is_closed(error),
            Self::Connect(error) => {
                matches!(&**error, PoolError::Backend(error) if is_closed(error))
            }
            Self::Down | Self::Random(_) => false,
        }
    }
}

impl From<RedisCallError> for DeliveryError {
    fn from(error: RedisCallError) -> Self {
        match &error {
            RedisCallError::Call(cause) if !is_trouble(cause) => Self::Refused(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<RedisCallError> for StoreError {
    fn from(error: RedisCallError) -> Self {
        Self::unavailable(error)
    }
}

/// Connection to Redis for one call.
pub(super) struct CallConnection {
    pub(super) connection: MultiplexedConnection,
    /// Random identifier of the running Redis process. A later process may have restored data that
    /// was removed from this one. `None` if Redis does not report its identifier.
    pub(super) run_id: Option<Arc<str>>,
    generation: u64,
    /// Number of the connection in the process.
    number: u64,
    /// Time between the last answer on this Redis connection and this call.
    idle: Duration,
}

/// Connections of one process to Redis, one for each thread.
pub(super) struct Connections {
    pool: Pool,
    of_threads: ThreadLocal<Mutex<Option<ThreadConnection>>>,
    down: AtomicBool,
    /// Number of Redis outages so far. Connections opened before the last outage are discarded.
    generation: AtomicU64,
    /// Number of Redis connections that this process has opened so far.
    opened: AtomicU64,
    memory: RedisMemory,
    /// Counters of failed Redis calls, if metrics are enabled.
    counts: OnceLock<Arc<metrics::RedisMetrics>>,
}

struct ThreadConnection {
    connection: Connection,
    run_id: Option<Arc<str>>,
    generation: u64,
    /// Number that identifies this Redis connection in the process.
    number: u64,
    /// Time of the last answer on this connection.
    answered_at: Instant,
}

impl Connections {
    pub(super) fn new(server: &Client) -> Result<Self, RedisError> {
        let manager = Manager::new_with_config(server.get_connection_info().clone(), timeouts())?;
        let pool = Pool::builder(manager).max_size(CONNECTIONS);
        // A pool without timeouts needs no runtime, so this cannot fail.
        let pool = pool
            .build()
            .map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))?;
        Ok(Self {
            pool,
            of_threads: ThreadLocal::new(),
            down: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            memory: RedisMemory::default(),
            counts: OnceLock::new(),
        })
    }

    /// Counts failed Redis calls and shows the availability of Redis in `metrics`, from now on.
    pub(super) fn count_in(self: &Arc<Self>, metrics: &Metrics) {
        let connections = Arc::downgrade(self);
        let is_up = move || connections.upgrade().is_some_and(|connections| !connections.is_down());
        metrics.watch_redis(Box::new(move || f64::from(is_up())));
        let _ = self.counts.set(Arc::clone(&metrics.redis));
    }

    /// Shows the memory of Redis in `metrics`, from now on, as [`Self::probe`] reads it.
    pub(super) fn show_memory_in(self: &Arc<Self>, metrics: &Metrics) {
        let gauge = |value: fn(&RedisMemory) -> Option<u64>| -> metrics::Gauge {
            let connections = Arc::downgrade(self);
            let read = move || value(&connections.upgrade()?.memory);
            Box::new(move || read().map_or(f64::NAN, |bytes| bytes as f64))
        };
        metrics.watch_redis_memory(gauge(RedisMemory::used), gauge(RedisMemory::max));
    }

    pub(super) const fn memory(&self) -> &RedisMemory {
        &self.memory
    }

    fn count(&self, failed: impl FnOnce(&metrics::RedisMetrics) -> &IntCounter) {
        if let Some(counts) = self.counts.get() {
            failed(counts).inc();
        }
    }

    /// Returns whether Redis is known to be unavailable.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Runs one Redis call, or one pipeline of calls, and returns the answer. If the idle
    /// connection was closed, repeats the call once on a new one, so `command` may run twice.
    pub(super) async fn call<T>(
        self: &Arc<Self>,
        command: impl AsyncFnOnce(&mut CallConnection) -> RedisResult<T> + Clone,
    ) -> Result<T, RedisCallError> {
        let mut connection = self.connection().await?;
        let answer = command.clone()(&mut connection).await;
        if !answer.as_ref().is_err_and(|error| self.is_stale(&connection, error)) {
            return self.finish(&connection, answer);
        }
        self.discard(connection.number);
        let mut connection = self.connection().await?;
        let answer = command(&mut connection).await;
        self.finish(&connection, answer)
    }

    /// Runs one call that must not be repeated, since Redis may have executed it.
    pub(super) async fn call_once<T>(
        self: &Arc<Self>,
        command: impl AsyncFnOnce(&mut CallConnection) -> RedisResult<T>,
    ) -> Result<T, RedisCallError> {
        let mut connection = self.connection().await?;
        let answer = command(&mut connection).await;
        self.finish(&connection, answer)
    }

    /// Records the result of a call.
    fn finish<T>(
        self: &Arc<Self>,
        connection: &CallConnection,
        answer: RedisResult<T>,
    ) -> Result<T, RedisCallError> {
        match &answer {
            Err(error) if is_trouble(error) => {
                self.count(|counts| &counts.answer);
                self.mark_unavailable(connection.generation, error);
            }
            Err(_) => self.count(|counts| &counts.refused),
            Ok(_) => {
                let mut slot = self.slot();
                if let Some(held) = slot.as_mut().filter(|held| held.number == connection.number) {
                    held.answered_at = Instant::now();
                }
            }
        }
        Ok(answer?)
    }

    /// Returns whether the connection may have been closed before the failed call. A firewall that
    /// drops an idle connection may not close it, so a call after a pause may also time out. A call
    /// that found the same connection may have replaced it already.
    fn is_stale(&self, connection: &CallConnection, error: &RedisError) -> bool {
        let was_idle = || {
            let slot = self.slot();
            let is_replaced = slot.as_ref().is_some_and(|held| held.number != connection.number);
            connection.idle >= IDLE || is_replaced
        };
        is_closed(error) || (error.is_timeout() && was_idle())
    }

    /// Checks that Redis answers and accepts writes. Deletes a key that does not exist: Redis
    /// refuses this whenever it refuses the removal of stale data.
    pub(super) async fn check_writable(self: &Arc<Self>) -> Result<(), RedisCallError> {
        self.call(async |call| probe().query_async(&mut call.connection).await).await
    }

    /// Makes a write that Redis refuses if it would refuse a publication, and reads the memory of
    /// Redis and its policy for a full memory. If Redis refuses `INFO`, they stay unknown.
    pub(super) async fn probe(self: &Arc<Self>) -> Result<(), RedisCallError> {
        let info: Option<String> = self
            .call(async |call| {
                match cmd("INFO").arg("memory").query_async(&mut call.connection).await {
                    Err(error) if !is_trouble(&error) => Ok(None),
                    answer => answer.map(Some),
                }
            })
            .await?;
        self.memory.update(&info.unwrap_or_default());
        let mut write = cmd("HSET");
        write.arg(INSTANCE_KEY).arg("probe").arg(1);
        self.call(async |call| write.query_async(&mut call.connection).await).await
    }

    /// Returns this thread's connection to Redis, and opens a connection if the thread has none.
    async fn connection(self: &Arc<Self>) -> Result<CallConnection, RedisCallError> {
        if self.is_down() {
            self.count(|counts| &counts.down);
            return Err(RedisCallError::Down);
        }
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(connection) = self.of_this_thread(generation) {
            return Ok(connection);
        }
        let opened = match self.open(generation).await {
            Err(error) if error.is_closed() => self.open(generation).await,
            opened => opened,
        };
        let opened = opened.inspect_err(|error| {
            self.count(|counts| &counts.connect);
            self.mark_unavailable(generation, error);
        })?;
        let connection = opened.for_call(Duration::ZERO);
        // Another call may have opened one meanwhile, which must not stay in the pool unused.
        drop(self.slot().replace(opened).map(|former| Connection::take(former.connection)));
        Ok(connection)
    }

    async fn open(&self, generation: u64) -> Result<ThreadConnection, RedisCallError> {
        let connecting = self.pool.get().await;
        let mut connection =
            connecting.map_err(|error| RedisCallError::Connect(Box::new(error)))?;
        let run_id = run_id(&mut connection).await?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let answered_at = Instant::now();
        Ok(ThreadConnection { connection, run_id, generation, number, answered_at })
    }

    fn of_this_thread(&self, generation: u64) -> Option<CallConnection> {
        let mut slot = self.slot();
        // A connection from before an outage is discarded, even if it works again.
        if slot.as_ref().is_some_and(|former| former.generation != generation) {
            drop(slot.take().map(|former| Connection::take(former.connection)));
        }
        slot.as_ref().map(|held| held.for_call(held.answered_at.elapsed()))
    }

    /// Discards this thread's Redis connection, if it still is the one with the number `number`.
    fn discard(&self, number: u64) {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|held| held.number == number) {
            drop(slot.take().map(|held| Connection::take(held.connection)));
            // The other connections in the pool have been idle for longer.
            self.pool.retain(|_, _| false);
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<ThreadConnection>> {
        self.of_threads.get_or_default().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks Redis as unavailable because of `error`. The first failure after `generation` (number
    /// of earlier outages) starts the task that reconnects; later ones change nothing.
    fn mark_unavailable(self: &Arc<Self>, generation: u64, error: &dyn std::error::Error) {
        let lost = self.generation.compare_exchange(
            generation,
            generation + 1,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if lost.is_err() || self.down.swap(true, Ordering::AcqRel) {
            return;
        }
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        tracing::error!("Redis is unavailable; calls skip it until it answers again: {reason}");
        let connections = Arc::clone(self);
        tokio::spawn(async move { connections.reconnect().await });
    }

    async fn reconnect(&self) {
        loop {
            tokio::time::sleep(RETRY).await;
            self.pool.retain(|_, _| false);
            let Ok(mut connection) = self.pool.get().await else { continue };
            match probe().query_async::<()>(&mut connection).await {
                // A replica answers, but cannot be used.
                Err(error) if is_trouble(&error) => {}
                _ => break,
            }
            drop(Connection::take(connection));
        }
        self.down.store(false, Ordering::Release);
        tracing::info!("Redis answers again");
    }
}

impl ThreadConnection {
    fn for_call(&self, idle: Duration) -> CallConnection {
        CallConnection {
            connection: self.connection.clone(),
            run_id: self.run_id.clone(),
            generation: self.generation,
            number: self.number,
            idle,
        }
    }
}

fn timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(Some(ANSWER))
        .set_connection_timeout(Some(CONNECT))
}

/// Returns the answer of a Redis server to `INFO memory`, on a connection of its own.
pub(super) async fn read_memory(server: &Client) -> RedisResult<String> {
    let mut connection = server.get_multiplexed_async_connection_with_config(&timeouts()).await?;
    cmd("INFO").arg("memory").query_async(&mut connection).await
}

/// Returns the random identifier of the running Redis process, or `None` if Redis refuses `INFO`.
async fn run_id(connection: &mut Connection) -> RedisResult<Option<Arc<str>>> {
    let said: RedisResult<String> = cmd("INFO").arg("server").query_async(connection).await;
    match said {
        Ok(said) => Ok(said.lines().find_map(|line| line.strip_prefix("run_id:")).map(Arc::from)),
        Err(error) if is_trouble(&error) => Err(error),
        // Redis refuses `INFO`, for example because of its access control list.
        Err(_) => Ok(None),
    }
}

/// Returns a Redis command that counts as a write and changes nothing: it deletes a missing key.
fn probe() -> Cmd {
    let mut probe = cmd("DEL");
    probe.arg("sentinel:probe");
    probe
}

/// Returns whether the error says that the connection to Redis was closed.
fn is_closed(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_connection_dropped() || error.is_io_error())
}

/// Returns whether the error affects the connection or the Redis server, and not just this call.
fn is_trouble(error: &RedisError) -> bool {
    let by_code = matches!(error.code(), Some("LOADING" | "READONLY" | "MASTERDOWN" | "NOAUTH"));
    by_code || error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}
