//! The server's workers: a bounded queue in front of a few threads that hash.
//!
//! The queue is what protects the server. A hash takes some 13 ms of a core, so whatever waits beyond the queue is told
//! to come back ([`PoolError::Busy`]) at once. A caller that hangs up keeps its place until its job was run: if it were
//! freed early, connecting and hanging up would be a way to queue without end.

use super::error::{HashError, PoolError, StartError};
use super::floor::{Floor, KINDS};
use super::hasher::Hasher;
use super::policy::Policy;
use super::stored;
use super::verdict::{self, Verdict};
use super::worker::{self, Job};
use crate::domain::PasswordHash;
use crate::observe::metrics::Passwords;
use crate::observe::request::note_step;
use secrecy::SecretString;
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a worker without jobs keeps its memory.
const IDLE: Duration = Duration::from_secs(60);

/// A handle on the workers, cheap to clone. They end when the last one is dropped.
#[derive(Clone)]
pub struct PasswordPool {
    inner: Arc<Inner>,
    observed: Option<Arc<Passwords>>,
}

struct Inner {
    jobs: flume::Sender<Job>,
    capacity: usize,
    dummy: PasswordHash,
    floor: Floor,
}

impl PasswordPool {
    /// Starts the threads; 0 workers means one for each core. At most `queue` jobs wait (but one may always) beside
    /// those being run. Takes no memory to hash in, and hashes nothing, until the first job.
    pub fn start(policy: Policy, workers: usize, queue: usize) -> Result<Self, StartError> {
        Self::start_with(policy, workers, queue, IDLE)
    }

    fn start_with(
        policy: Policy,
        workers: usize,
        queue: usize,
        idle: Duration,
    ) -> Result<Self, StartError> {
        policy.check()?;
        let dummy = stored::dummy(&policy)?;
        let workers = match workers {
            // Where the number of cores cannot be told, one worker is slow but sure.
            0 => thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let capacity = queue.max(1);
        let (sender, receiver) = flume::bounded(capacity);
        for index in 0..workers {
            let hasher = Hasher::new(policy)?;
            worker::spawn(index, hasher, receiver.clone(), idle).map_err(StartError::Thread)?;
        }
        let floor = Floor::new(&dummy);
        let inner = Inner { jobs: sender, capacity, dummy, floor };
        Ok(Self { inner: Arc::new(inner), observed: None })
    }

    /// The same workers, seen by these.
    #[must_use]
    pub fn observed_by(self, passwords: Arc<Passwords>) -> Self {
        Self { observed: Some(passwords), ..self }
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash, PoolError> {
        self.run(move |hasher| hasher.hash(&password)).await
    }

    /// Verifies a login's password against the user's hash; `None` says that there is no such user, and is answered
    /// [`Verdict::Wrong`] after the same work. A stored hash that cannot be used is logged, and answered likewise.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, PoolError> {
        self.judge(password, stored, true).await
    }

    /// The same for a user who is not let in whatever the password is: the hash is left as it is, so that
    /// a right password takes as long as a wrong one.
    pub async fn verify_in_vain(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, PoolError> {
        self.judge(password, stored, false).await
    }

    async fn judge(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
        upgrading: bool,
    ) -> Result<Verdict, PoolError> {
        let Inner { dummy, floor, .. } = &*self.inner;
        let (dummy, hash) = (dummy.clone(), stored.clone());
        let (judgement, began, took) = self
            .run(move |hasher| {
                let began = Instant::now();
                let judged = verdict::judge(hasher, &password, hash.as_ref(), &dummy, upgrading)?;
                Ok((judged, began, began.elapsed()))
            })
            .await?;
        if judgement.is_wrong() || !upgrading {
            floor.saw(stored.as_ref(), took);
            floor.wait(began).await;
        }
        Ok(judgement.log())
    }

    /// What hashes of the policy's own kind begin with.
    pub fn own_kind(&self) -> &str {
        self.inner.floor.own_kind()
    }

    /// Has failures wait, though not for long, until it is known of which kinds the hashes of the users are.
    pub fn expect_kinds(&self) {
        self.inner.floor.set_looked(false);
    }

    /// Nobody can tell of which: failures are answered as soon as they are known.
    pub fn expect_no_kinds(&self) {
        self.inner.floor.set_looked(true);
    }

    /// Here is one hash of each kind that users have, beside the policy's own. From now on no failure tells by its time
    /// which it was. It takes one verification of each, and three of one that is new; a queue that is full, or a hash
    /// that cannot be verified, keeps what was known.
    pub async fn learn_kinds(&self, kinds: &[PasswordHash]) {
        let Inner { dummy, floor, .. } = &*self.inner;
        floor.keep(kinds);
        let own = kinds.first().map(|_| dummy);
        for hash in own.into_iter().chain(kinds).take(KINDS) {
            for _ in 0..floor.wanted(hash) {
                self.measure(hash).await;
            }
            // No other one has to wait behind hashes that cost seconds if it changes nothing. This one is measured
            // each time: it may have been the machine that was slow.
            if floor.is_ceiling_of(hash) {
                break;
            }
        }
        floor.set_looked(true);
    }

    /// Times a verification.
    async fn measure(&self, hash: &PasswordHash) {
        let copy = hash.clone();
        let took = self.run(move |hasher| {
            let began = Instant::now();
            black_box(hasher.verify(&SecretString::from(""), &copy)?);
            Ok(began.elapsed())
        });
        match took.await {
            Ok(took) => self.inner.floor.saw(Some(hash), took),
            Err(error) => tracing::debug!(%error, "a kind of password hash was not timed"),
        }
    }

    /// How many jobs are waiting for a worker now.
    pub fn depth(&self) -> usize {
        self.inner.jobs.len()
    }

    /// How many jobs may wait.
    pub fn capacity(&self) -> usize {
        self.inner.capacity
    }

    /// Queues some work and waits for its result.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hasher) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, PoolError> {
        let (reply, result) = oneshot::channel();
        let observed =
            self.observed.as_ref().map(|passwords| (Arc::clone(passwords), Instant::now()));
        let queued = observed.as_ref().map(|(_, queued)| *queued);
        let job: Job = Box::new(move |hasher| {
            let result = match observed {
                None => work(hasher),
                Some((passwords, queued)) => {
                    passwords.waited.observe(queued.elapsed());
                    let started = Instant::now();
                    let result = work(hasher);
                    passwords.hashed.observe(started.elapsed());
                    result
                }
            };
            // Nobody is there to read it if the caller has hung up.
            let _ = reply.send(result);
        });
        self.inner.jobs.try_send(job).map_err(|error| match error {
            flume::TrySendError::Full(_) => {
                self.observed.iter().for_each(|passwords| passwords.refused.increment());
                PoolError::Busy
            }
            flume::TrySendError::Disconnected(_) => PoolError::Lost,
        })?;
        let result = result.await.map_err(|_| PoolError::Lost);
        if let Some(queued) = queued {
            note_step("passwords.hash", queued, queued.elapsed());
        }
        Ok(result??)
    }
}

impl fmt::Debug for PasswordPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordPool")
            .field("depth", &self.depth())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
