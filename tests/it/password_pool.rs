//! The password hashing workers: queueing, verdicts, upgrades, and equal timing for known and
//! unknown users.

use secrecy::SecretString;
use sentinel::domain::PasswordHash;
use sentinel::password::{
    HashPolicy, HashScheme, Hasher, PasswordPool, PoolError, PoolStartError, Verdict,
};
use std::time::{Duration, Instant};

use crate::helpers::CapturedLog;

const SMALL: HashPolicy = HashPolicy {
    scheme: HashScheme::Argon2id,
    memory_kib: 64,
    iterations: 2,
    parallelism: 1,
    bcrypt_cost: 5,
};

/// Parameters that take tenths of a second for each hash, so that a worker stays busy while a test
/// checks its queue.
const SLOW: HashPolicy = HashPolicy { memory_kib: 65_536, iterations: 5, ..SMALL };

const IMPORTED: &str = "$2y$05$fj/gjPmP8CXix7klyZoZuuhPEh8PndMVrK7banHUUv78.NHhvFEra";
const RIGHT: Verdict = Verdict::Right { upgrade: None };

fn password() -> SecretString {
    "correct horse".into()
}

fn stored(policy: HashPolicy) -> PasswordHash {
    Hasher::new(policy).unwrap().hash(&password()).unwrap()
}

#[tokio::test]
async fn pool_distinguishes_right_password_from_wrong_one_and_unknown_user() {
    let pool = PasswordPool::start(SMALL, 0, 16).unwrap();
    let hash = pool.hash(password()).await.unwrap();
    let right = pool.verify(password(), Some(hash.clone())).await.unwrap();
    assert_eq!(right, RIGHT);
    let wrong = pool.verify("wrong".into(), Some(hash)).await.unwrap();
    assert_eq!(wrong, Verdict::Wrong);
    let unknown = pool.verify(password(), None).await.unwrap();
    assert_eq!(unknown, Verdict::Wrong);
}

#[tokio::test]
async fn right_password_upgrades_an_outdated_hash_and_wrong_one_does_not() {
    let pool = PasswordPool::start(SMALL, 1, 16).unwrap();
    let weak = stored(HashPolicy { iterations: 1, ..SMALL });
    for old in [weak, PasswordHash::imported(IMPORTED.to_owned())] {
        let wrong = pool.verify("wrong".into(), Some(old.clone())).await.unwrap();
        assert_eq!(wrong, Verdict::Wrong);
        let right = pool.verify(password(), Some(old)).await.unwrap();
        let Verdict::Right { upgrade: Some(new) } = right else {
            panic!("expected an upgrade, got {right:?}");
        };
        assert!(new.encoded().starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
        assert!(!new.is_imported());
        assert_eq!(pool.verify(password(), Some(new)).await.unwrap(), RIGHT);
    }
}

/// An upgrade would take longer, and so reveal that the password of a disabled user was right.
#[tokio::test]
async fn verification_for_a_disabled_user_upgrades_no_hash() {
    let pool = PasswordPool::start(SMALL, 1, 16).unwrap();
    let old = PasswordHash::imported(IMPORTED.to_owned());
    let right = pool.verify_dummy(password(), Some(old.clone())).await.unwrap();
    assert_eq!(right, RIGHT);
    let wrong = pool.verify_dummy("wrong".into(), Some(old)).await.unwrap();
    assert_eq!(wrong, Verdict::Wrong);
    assert_eq!(pool.verify_dummy(password(), None).await.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn password_too_long_for_a_bcrypt_upgrade_is_still_accepted() {
    let policy = HashPolicy { scheme: HashScheme::Bcrypt, ..SMALL };
    let pool = PasswordPool::start(policy, 1, 16).unwrap();
    // The hash of 36 two-byte letters: the 72 bytes that bcrypt reads of the longer password.
    let encoded = "$2b$05$FwD5Nr2QuxvNDYpeNfWYS.P6ywCZl52VV5ekX3v0.p/hVnNN4anuG";
    let old = PasswordHash::imported(encoded.to_owned());
    let long = pool.verify("é".repeat(40).into(), Some(old.clone())).await;
    assert_eq!(long.unwrap(), RIGHT);
    let fitting = pool.verify("é".repeat(36).into(), Some(old)).await.unwrap();
    assert!(matches!(fitting, Verdict::Right { upgrade: Some(new) } if !new.is_imported()));
    let refused = pool.hash("é".repeat(40).into()).await;
    assert!(matches!(refused, Err(PoolError::Hash(error)) if error.is_caused_by_password()));
}

#[tokio::test]
async fn full_queue_is_busy_and_a_cancelled_call_keeps_its_place() {
    let pool = PasswordPool::start(SLOW, 1, 2).unwrap();
    let ask = || {
        let pool = pool.clone();
        tokio::spawn(async move { pool.hash(password()).await })
    };
    let running = ask();
    tokio::task::yield_now().await;
    wait_until_depth_is(&pool, 0).await;

    let (impatient, patient) = (ask(), ask());
    tokio::task::yield_now().await;
    assert_eq!((pool.depth(), pool.capacity()), (2, 2));
    assert!(matches!(pool.hash(password()).await, Err(PoolError::Busy)));
    assert!(matches!(pool.verify(password(), None).await, Err(PoolError::Busy)));

    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    assert_eq!(pool.depth(), 2);
    assert!(matches!(pool.hash(password()).await, Err(PoolError::Busy)));

    assert!(running.await.unwrap().is_ok());
    assert!(patient.await.unwrap().is_ok());
    assert_eq!(pool.depth(), 0);
    assert!(pool.hash(password()).await.is_ok());
}

async fn wait_until_depth_is(pool: &PasswordPool, depth: usize) {
    while pool.depth() != depth {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn unknown_user_and_malformed_hash_take_as_long_as_wrong_password() {
    for scheme in [HashScheme::Argon2id, HashScheme::Bcrypt] {
        let policy = HashPolicy { scheme, memory_kib: 4096, ..SMALL };
        let pool = PasswordPool::start(policy, 1, 4).unwrap();
        let cases =
            [Some(stored(policy)), None, Some(PasswordHash::own("$argon2id$broken".to_owned()))];
        // Other load on the machine can distort a measurement, so up to four attempts are made.
        let alike = async || {
            let [wrong, unknown, broken] = medians(&pool, &cases).await;
            let near = |time: f64| (0.75..1.25).contains(&(time / wrong));
            near(unknown) && near(broken)
        };
        assert!(alike().await || alike().await || alike().await || alike().await);
    }
}

/// Measures the median time to refuse a password for each stored hash, alternating among them.
async fn medians(pool: &PasswordPool, cases: &[Option<PasswordHash>; 3]) -> [f64; 3] {
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..41 {
        for (stored, times) in cases.iter().zip(&mut times) {
            let start = Instant::now();
            // Longer than bcrypt accepts, which must not shorten the verification either.
            let verdict = pool.verify("x".repeat(80).into(), stored.clone()).await;
            times.push(start.elapsed().as_secs_f64());
            assert_eq!(verdict.unwrap(), Verdict::Wrong);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

#[tokio::test]
async fn pool_with_costly_parameters_starts_within_100_ms() {
    let policy = HashPolicy { memory_kib: 1 << 20, iterations: 4, ..SMALL };
    let start = Instant::now();
    let pool = PasswordPool::start(policy, 4, 16).unwrap();
    assert!(start.elapsed() < Duration::from_millis(100));
    assert_eq!(pool.capacity(), 16);
}

#[tokio::test]
async fn pool_with_out_of_range_policy_does_not_start() {
    let policy = HashPolicy { iterations: 0, ..SMALL };
    let refused = PasswordPool::start(policy, 1, 16);
    assert!(matches!(refused, Err(PoolStartError::Policy(_))));
}

#[test]
fn malformed_hash_is_logged_in_the_request_span_without_its_content() {
    let log = CapturedLog::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let pool = PasswordPool::start(SMALL, 1, 4).unwrap();
            let span = tracing::info_span!("request", id = "r-17");
            let broken = Some(PasswordHash::own("$argon2id$hunter2".to_owned()));
            let verdict = tracing::Instrument::instrument(pool.verify(password(), broken), span);
            assert_eq!(verdict.await.unwrap(), Verdict::Wrong);
        });
    });
    let text = log.text();
    assert!(text.contains("r-17") && text.contains("hash is unusable"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("correct horse"), "{text}");
}
