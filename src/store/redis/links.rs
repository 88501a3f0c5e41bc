//! Connections to Redis: one for each thread that asks, held for as long as it works.
//!
//! Calls are sent over it one behind the other, without waiting for the answers of those before. When
//! Redis does not answer in time or hangs up, all further calls fail at once, and a task tries until
//! Redis is there again: so a Redis that is frozen delays one call, not all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, cmd};
use deadpool_redis::{Connection, Manager, Pool, PoolError};
use thread_local::ThreadLocal;

use crate::observe::metrics;
use crate::store::StoreError;

/// How long an answer, and how long a connection may take.
const ANSWER: Duration = Duration::from_millis(500);
const CONNECT: Duration = Duration::from_secs(1);
/// How long to wait between two tries when Redis is gone.
const RETRY: Duration = Duration::from_millis(250);
/// More than there are threads that ask.
const CONNECTIONS: usize = 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It is known to be gone.
    #[error("Redis does not answer")]
    Down,
    /// A connection cannot be had.
    #[error("cannot connect to Redis")]
    Connect(#[source] Box<PoolError>),
    /// It failed at this call.
    #[error("Redis failed")]
    Call(#[from] RedisError),
}

impl Failure {
    /// Whether Redis is there, and will not do this.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Call(error) if !is_trouble(error))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::unavailable(failure)
    }
}

/// A connection for one call.
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    /// Tells one life of the server from the next: what it had in an earlier one may be older than what
    /// was taken from it. `None` when it does not say.
    pub(super) life: Option<Arc<str>>,
    generation: u64,
}

/// The connections of a process.
pub(super) struct Links {
    pool: Pool,
    held: ThreadLocal<Mutex<Option<Held>>>,
    down: AtomicBool,
    /// Counts the times that Redis was gone.
    generation: AtomicU64,
    /// What failed is counted here, if anybody wants to know.
    counts: OnceLock<Arc<metrics::Redis>>,
}

struct Held {
    connection: Connection,
    life: Option<Arc<str>>,
    generation: u64,
}

impl Links {
    pub(super) fn new(server: &Client) -> Result<Self, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(CONNECT));
        let manager = Manager::new_with_config(server.get_connection_info().clone(), config)?;
        let pool = Pool::builder(manager).max_size(CONNECTIONS);
        // Without timeouts of its own the builder needs no runtime, and cannot fail.
        let pool = pool
            .build()
            .map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))?;
        Ok(Self {
            pool,
            held: ThreadLocal::new(),
            down: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            counts: OnceLock::new(),
        })
    }

    /// Has `metrics` see what fails, and whether Redis is gone.
    pub(super) fn count_in(self: &Arc<Self>, metrics: &Arc<metrics::Redis>) {
        let links = Arc::downgrade(self);
        let is_up = move || links.upgrade().is_some_and(|links| !links.is_down());
        metrics.watch(Box::new(move || usize::from(is_up())));
        let _ = self.counts.set(Arc::clone(metrics));
    }

    fn count(&self, failed: impl FnOnce(&metrics::Redis) -> &metrics::Counter) {
        if let Some(counts) = self.counts.get() {
            failed(counts).increment();
        }
    }

    /// Whether Redis is known to be gone.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Makes one call, or one pipeline of calls.
    pub(super) async fn call<T>(
        self: &Arc<Self>,
        call: impl AsyncFnOnce(&mut Link) -> RedisResult<T>,
    ) -> Result<T, Failure> {
        let mut link = self.link().await?;
        let answer = call(&mut link).await;
        if let Err(error) = &answer {
            if is_trouble(error) {
                self.count(|counts| &counts.answer);
                self.lose(link.generation, error);
            } else {
                self.count(|counts| &counts.refused);
            }
        }
        Ok(answer?)
    }

    /// Whether Redis answers.
    pub(super) async fn ping(self: &Arc<Self>) -> Result<(), Failure> {
        self.call(async |link| cmd("PING").query_async(&mut link.connection).await).await
    }

    /// This thread's connection.
    async fn link(self: &Arc<Self>) -> Result<Link, Failure> {
        if self.is_down() {
            self.count(|counts| &counts.down);
            return Err(Failure::Down);
        }
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(link) = self.held(generation) {
            return Ok(link);
        }
        let connected = match self.pool.get().await {
            Ok(mut connection) => match life(&mut connection).await {
                Ok(life) => Ok(Held { connection, life, generation }),
                Err(error) => Err(Failure::Call(error)),
            },
            Err(error) => Err(Failure::Connect(Box::new(error))),
        };
        let held = connected.inspect_err(|failure| {
            self.count(|counts| &counts.connect);
            self.lose(generation, failure);
        })?;
        let link = held.link();
        *self.slot() = Some(held);
        Ok(link)
    }

    fn held(&self, generation: u64) -> Option<Link> {
        let mut slot = self.slot();
        // The connection of before is not to be used again, even if it has come back to life.
        if slot.as_ref().is_some_and(|held| held.generation != generation) {
            drop(slot.take().map(|held| Connection::take(held.connection)));
        }
        slot.as_ref().map(Held::link)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.get_or_default().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redis is gone; the first to notice sees to it that it is found again.
    fn lose(self: &Arc<Self>, generation: u64, error: &dyn std::error::Error) {
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
        tracing::error!("Redis is passed by until it answers again: {reason}");
        let links = Arc::clone(self);
        tokio::spawn(async move { links.find_again().await });
    }

    async fn find_again(&self) {
        loop {
            tokio::time::sleep(RETRY).await;
            self.pool.retain(|_, _| false);
            let Ok(mut connection) = self.pool.get().await else { continue };
            let ping = cmd("PING").query_async::<String>(&mut connection).await;
            if ping.is_ok() {
                break;
            }
            drop(Connection::take(connection));
        }
        self.down.store(false, Ordering::Release);
        tracing::info!("Redis answers again");
    }
}

impl Held {
    fn link(&self) -> Link {
        Link {
            connection: self.connection.clone(),
            life: self.life.clone(),
            generation: self.generation,
        }
    }
}

/// What the server calls this life of it.
async fn life(connection: &mut Connection) -> RedisResult<Option<Arc<str>>> {
    let said: RedisResult<String> = cmd("INFO").arg("server").query_async(connection).await;
    match said {
        Ok(said) => Ok(said.lines().find_map(|line| line.strip_prefix("run_id:")).map(Arc::from)),
        Err(error) if is_trouble(&error) => Err(error),
        // It is not for us to ask.
        Err(_) => Ok(None),
    }
}

/// Whether another connection might do better.
fn is_trouble(error: &RedisError) -> bool {
    let by_code = matches!(error.code(), Some("LOADING" | "READONLY" | "MASTERDOWN" | "NOAUTH"));
    by_code || error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}
