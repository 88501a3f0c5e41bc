//! Tests of the delay of failures.

use super::*;

const OWN: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";
const BCRYPT: &str = "$2b$05$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu";

fn hash(encoded: &str) -> PasswordHash {
    PasswordHash::imported(encoded.to_owned())
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[test]
fn delay_is_zero_when_all_hashes_match_policy() {
    let equalizer = TimingEqualizer::new(&hash(OWN));
    equalizer.record(None, milliseconds(900));
    equalizer.record(Some(&hash(OWN)), milliseconds(900));
    equalizer.record(Some(&hash("not a hash")), milliseconds(900));
    assert_eq!(equalizer.minimum(), Duration::ZERO);
}

#[test]
fn delay_is_25_percent_above_slowest_kind_including_own() {
    let equalizer = TimingEqualizer::new(&hash(OWN));
    equalizer.record(Some(&hash(BCRYPT)), milliseconds(4));
    equalizer.record(None, milliseconds(20));
    assert_eq!(equalizer.minimum(), milliseconds(25));
    equalizer.record(Some(&hash(BCRYPT)), milliseconds(400));
    assert_eq!(equalizer.minimum(), milliseconds(500));
    // One quick measurement does not lower the delay.
    equalizer.record(Some(&hash(BCRYPT)), milliseconds(320));
    assert_eq!(equalizer.minimum(), milliseconds(500));
    equalizer.retain_kinds(&[]);
    assert_eq!(equalizer.minimum(), Duration::ZERO);
}

#[test]
fn delay_and_number_of_kinds_are_bounded() {
    let equalizer = TimingEqualizer::new(&hash(OWN));
    for number in 1..1000 {
        let text = OWN.replace("t=2", &format!("t={number}"));
        equalizer.record(Some(&hash(&text)), milliseconds(10 * number));
    }
    assert_eq!(equalizer.minimum(), MAX_DELAY);
    assert!(equalizer.lock().len() <= MAX_KINDS);
}

#[test]
fn single_outlier_does_not_raise_delay() {
    let equalizer = TimingEqualizer::new(&hash(OWN));
    for took in [100, 110, 90, 60_000] {
        equalizer.record(Some(&hash(BCRYPT)), milliseconds(took));
        assert!(equalizer.minimum() < milliseconds(140), "{:?}", equalizer.minimum());
    }
    // The policy's own kind is now the slowest, so it determines the delay.
    equalizer.record(Some(&hash(BCRYPT)), milliseconds(110));
    equalizer.record(None, milliseconds(220));
    assert_eq!(equalizer.minimum(), milliseconds(275));
}

#[test]
fn two_outliers_are_forgotten_after_further_measurements() {
    let equalizer = TimingEqualizer::new(&hash(OWN));
    for took in [60_000, 60_000] {
        equalizer.record(Some(&hash(BCRYPT)), milliseconds(took));
    }
    assert!(equalizer.is_at_maximum(&hash(BCRYPT)) && !equalizer.is_at_maximum(&hash(OWN)));
    assert_eq!(equalizer.minimum(), MAX_DELAY);
    for number in 1..KEPT_MEASUREMENTS {
        assert_eq!(equalizer.minimum(), MAX_DELAY, "{number}");
        equalizer.record(Some(&hash(BCRYPT)), milliseconds(100));
    }
    assert_eq!(equalizer.minimum(), milliseconds(125));
}

#[test]
fn new_kind_is_measured_three_times_and_known_one_once() {
    let equalizer = TimingEqualizer::new(&hash(OWN));
    for wanted in [3, 2, 1, 1] {
        assert_eq!(equalizer.measurements_needed(&hash(BCRYPT)), wanted);
        equalizer.record(Some(&hash(BCRYPT)), milliseconds(4));
    }
}

#[tokio::test(start_paused = true)]
async fn failure_waits_for_survey_of_kinds_up_to_maximum_delay() {
    let equalizer = std::sync::Arc::new(TimingEqualizer::new(&hash(OWN)));
    equalizer.set_surveyed(false);
    let start = tokio::time::Instant::now();
    equalizer.wait(Instant::now(), 1).await;
    let waited = start.elapsed();
    assert!(waited >= MAX_DELAY && waited < MAX_DELAY + MAX_DELAY / 10, "{waited:?}");
    let waits = tokio::spawn({
        let equalizer = std::sync::Arc::clone(&equalizer);
        async move { equalizer.wait(Instant::now(), 1).await }
    });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    equalizer.set_surveyed(true);
    waits.await.unwrap();
    assert!(start.elapsed() < MAX_DELAY + MAX_DELAY / 10);
}
