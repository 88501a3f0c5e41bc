//! The hashing workers of the server: a bounded queue and a few threads.
//!
//! The bounded queue protects the server from overload. A hash takes about 13 ms of one core, so a
//! job that does not fit into the queue is rejected at once ([`PoolError::Busy`]). If the caller
//! disconnects, its job keeps its place until it was run. Callers could otherwise exceed the bound
//! by connecting and disconnecting again and again.

use super::error::{HashError, PoolError, PoolStartError};
use super::hasher::Hasher;
use super::parsed_hash;
use super::policy::HashPolicy;
use super::timing_equalizer::{MAX_KINDS, TimingEqualizer};
use super::verdict::{self, Verdict};
use super::worker::{self, Job};
use crate::domain::PasswordHash;
use crate::observe::metrics::PasswordMetrics;
use crate::observe::request::record_step;
use secrecy::SecretString;
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Time after which an idle hashing thread releases its working memory.
const IDLE: Duration = Duration::from_secs(60);

/// A handle to the hashing threads, which end when the last handle is dropped. Cheap to clone.
#[derive(Clone)]
pub struct PasswordPool {
    inner: Arc<PoolState>,
    observed: Option<Arc<PasswordMetrics>>,
}

struct PoolState {
    jobs: flume::Sender<Job>,
    capacity: usize,
    dummy: PasswordHash,
    equalizer: TimingEqualizer,
}

impl PasswordPool {
    /// Starts the hashing threads: `workers`, or one per core if `workers` is 0. At most `queue`
    /// jobs wait, and at least one can, in addition to those being run. No memory is allocated for
    /// hashing, and nothing is hashed, until the first job.
    ///
    /// # Errors
    /// [`PoolStartError`] if the policy is invalid, the dummy hash cannot be made, or a thread
    /// cannot be started.
    pub fn start(policy: HashPolicy, workers: usize, queue: usize) -> Result<Self, PoolStartError> {
        Self::start_with(policy, workers, queue, IDLE)
    }

    fn start_with(
        policy: HashPolicy,
        workers: usize,
        queue: usize,
        idle: Duration,
    ) -> Result<Self, PoolStartError> {
        policy.check()?;
        let dummy = parsed_hash::dummy(&policy)?;
        let workers = match workers {
            // If the number of cores is unknown, one worker is slow but safe.
            0 => thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let capacity = queue.max(1);
        let (sender, receiver) = flume::bounded(capacity);
        for index in 0..workers {
            let hasher = Hasher::new(policy)?;
            worker::spawn(index, hasher, receiver.clone(), idle).map_err(PoolStartError::Thread)?;
        }
        let equalizer = TimingEqualizer::new(&dummy);
        let inner = PoolState { jobs: sender, capacity, dummy, equalizer };
        Ok(Self { inner: Arc::new(inner), observed: None })
    }

    /// Records queue waits, hashing times and rejections of this handle's jobs as metrics.
    #[must_use]
    pub fn observed_by(self, passwords: Arc<PasswordMetrics>) -> Self {
        Self { observed: Some(passwords), ..self }
    }

    /// Hashes a new password on a hashing thread.
    ///
    /// # Errors
    /// [`PoolError::Busy`] if the queue is full, [`PoolError::Lost`] if the job ended without a
    /// result, and [`PoolError::Hash`] if hashing failed.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash, PoolError> {
        self.run(move |hasher| hasher.hash(&password)).await
    }

    /// Verifies the password of a login against the user's stored hash. A hash of `None` means that
    /// the user does not exist: the result is [`Verdict::Wrong`], after the same amount of work. A
    /// hash that cannot be used is logged, and also results in [`Verdict::Wrong`].
    ///
    /// # Errors
    /// [`PoolError`] if the queue is full, or the job failed or ended without a result.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, PoolError> {
        self.verify_login(password, stored, true).await
    }

    /// Verifies the password of a login that is rejected in any case, such as that of a disabled
    /// user. The stored hash is not upgraded, and a correct password takes as long as a wrong one.
    ///
    /// # Errors
    /// [`PoolError`] if the queue is full, or the job failed or ended without a result.
    pub async fn verify_dummy(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, PoolError> {
        self.verify_login(password, stored, false).await
    }

    async fn verify_login(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
        may_upgrade: bool,
    ) -> Result<Verdict, PoolError> {
        let PoolState { dummy, equalizer, .. } = &*self.inner;
        let (dummy, hash) = (dummy.clone(), stored.clone());
        let forms = verdict::forms(&password);
        let verifications = u32::try_from(forms.len()).unwrap_or(1);
        let (verdict, began, took) = self
            .run(move |hasher| {
                let began = Instant::now();
                let verdict =
                    verdict::verify_login(hasher, &forms, hash.as_ref(), &dummy, may_upgrade)?;
                Ok((verdict, began, began.elapsed()))
            })
            .await?;
        if verdict.is_wrong() || !may_upgrade {
            equalizer.record(stored.as_ref(), took / verifications);
            equalizer.wait(began, verifications).await;
        }
        Ok(verdict.log())
    }

    /// Returns the prefix of encoded hashes (function and parameters) that all new hashes share, in
    /// the form that [`parameters_prefix`] returns.
    ///
    /// [`parameters_prefix`]: super::parameters_prefix
    pub fn policy_prefix(&self) -> &str {
        self.inner.equalizer.policy_prefix()
    }

    /// Delays failed logins, up to a maximum, until the kinds (functions and parameters) of the
    /// users' hashes are known.
    pub fn await_survey(&self) {
        self.inner.equalizer.set_surveyed(false);
    }

    /// Stops delaying failed logins because the kinds (functions and parameters) of the users'
    /// hashes cannot be determined.
    pub fn abandon_survey(&self) {
        self.inner.equalizer.set_surveyed(true);
    }

    /// Measures the verification times of the kinds of hash (function and parameters) that users
    /// have. `kinds` contains one hash of each kind except that of new hashes. Afterwards the time
    /// of a failed login does not reveal the kind of hash. Each kind takes one verification, and a
    /// new kind three. If the queue is full, or a hash cannot be verified, the earlier measurements
    /// are kept.
    pub async fn measure_kinds(&self, kinds: &[PasswordHash]) {
        let PoolState { dummy, equalizer, .. } = &*self.inner;
        equalizer.retain_kinds(kinds);
        let own = kinds.first().map(|_| dummy);
        for hash in own.into_iter().chain(kinds).take(MAX_KINDS) {
            for _ in 0..equalizer.measurements_needed(hash) {
                self.measure(hash).await;
            }
            // The delay is at its maximum, so measuring slower hashes would only occupy the
            // workers. This kind is measured again at each call, because the machine may just have
            // been slow.
            if equalizer.is_at_maximum(hash) {
                break;
            }
        }
        equalizer.set_surveyed(true);
    }

    /// Measures and records the time of one verification of `hash`, on a hashing thread.
    async fn measure(&self, hash: &PasswordHash) {
        let copy = hash.clone();
        let took = self.run(move |hasher| {
            let began = Instant::now();
            black_box(hasher.verify(&SecretString::from(""), &copy)?);
            Ok(began.elapsed())
        });
        match took.await {
            Ok(took) => self.inner.equalizer.record(Some(hash), took),
            Err(error) => {
                tracing::debug!(%error, "cannot measure the verification time of a kind of password hash");
            }
        }
    }

    /// Returns the number of jobs that wait for a hashing thread.
    pub fn depth(&self) -> usize {
        self.inner.jobs.len()
    }

    /// Returns the maximum number of jobs that can wait for a hashing thread.
    pub fn capacity(&self) -> usize {
        self.inner.capacity
    }

    /// Queues `work` as a job for a hashing thread, and returns the result of the job.
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
                    passwords.waited.observe(queued.elapsed().as_secs_f64());
                    let started = Instant::now();
                    let result = work(hasher);
                    passwords.hashed.observe(started.elapsed().as_secs_f64());
                    result
                }
            };
            // The receiver is gone if the caller has disconnected.
            let _ = reply.send(result);
        });
        self.inner.jobs.try_send(job).map_err(|error| match error {
            flume::TrySendError::Full(_) => {
                self.observed.iter().for_each(|passwords| passwords.refused.inc());
                PoolError::Busy
            }
            flume::TrySendError::Disconnected(_) => PoolError::Lost,
        })?;
        let result = result.await.map_err(|_| PoolError::Lost);
        if let Some(queued) = queued {
            record_step("passwords.hash", queued, queued.elapsed());
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
