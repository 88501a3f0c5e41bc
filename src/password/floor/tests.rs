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
    let floor = Floor::new(&hash(OWN));
    floor.saw(None, milliseconds(900));
    floor.saw(Some(&hash(OWN)), milliseconds(900));
    floor.saw(Some(&hash("what is no hash")), milliseconds(900));
    assert_eq!(floor.height(), Duration::ZERO);
}

#[test]
fn delay_is_25_percent_above_slowest_kind_including_own() {
    let floor = Floor::new(&hash(OWN));
    floor.saw(Some(&hash(BCRYPT)), milliseconds(4));
    floor.saw(None, milliseconds(20));
    assert_eq!(floor.height(), milliseconds(25));
    floor.saw(Some(&hash(BCRYPT)), milliseconds(400));
    assert_eq!(floor.height(), milliseconds(500));
    // One quick measurement does not lower the delay.
    floor.saw(Some(&hash(BCRYPT)), milliseconds(320));
    assert_eq!(floor.height(), milliseconds(500));
    floor.keep(&[]);
    assert_eq!(floor.height(), Duration::ZERO);
}

#[test]
fn delay_and_number_of_kinds_are_bounded() {
    let floor = Floor::new(&hash(OWN));
    for number in 1..1000 {
        let text = OWN.replace("t=2", &format!("t={number}"));
        floor.saw(Some(&hash(&text)), milliseconds(10 * number));
    }
    assert_eq!(floor.height(), CEILING);
    assert!(floor.lock().len() <= KINDS);
}

#[test]
fn single_outlier_does_not_raise_delay() {
    let floor = Floor::new(&hash(OWN));
    for took in [100, 110, 90, 60_000] {
        floor.saw(Some(&hash(BCRYPT)), milliseconds(took));
        assert!(floor.height() < milliseconds(140), "{:?}", floor.height());
    }
    // The policy's own kind is now the slowest, so it determines the delay.
    floor.saw(Some(&hash(BCRYPT)), milliseconds(110));
    floor.saw(None, milliseconds(220));
    assert_eq!(floor.height(), milliseconds(275));
}

#[test]
fn two_outliers_are_forgotten_after_further_measurements() {
    let floor = Floor::new(&hash(OWN));
    for took in [60_000, 60_000] {
        floor.saw(Some(&hash(BCRYPT)), milliseconds(took));
    }
    assert!(floor.is_ceiling_of(&hash(BCRYPT)) && !floor.is_ceiling_of(&hash(OWN)));
    assert_eq!(floor.height(), CEILING);
    for number in 1..KEPT {
        assert_eq!(floor.height(), CEILING, "{number}");
        floor.saw(Some(&hash(BCRYPT)), milliseconds(100));
    }
    assert_eq!(floor.height(), milliseconds(125));
}

#[test]
fn new_kind_is_measured_three_times_and_known_kind_once() {
    let floor = Floor::new(&hash(OWN));
    for wanted in [3, 2, 1, 1] {
        assert_eq!(floor.wanted(&hash(BCRYPT)), wanted);
        floor.saw(Some(&hash(BCRYPT)), milliseconds(4));
    }
}

#[tokio::test(start_paused = true)]
async fn failure_waits_for_survey_of_kinds_up_to_maximum_delay() {
    let floor = std::sync::Arc::new(Floor::new(&hash(OWN)));
    floor.set_looked(false);
    let start = tokio::time::Instant::now();
    floor.wait(Instant::now()).await;
    let waited = start.elapsed();
    assert!(waited >= CEILING && waited < CEILING + CEILING / 10, "{waited:?}");
    let waits = tokio::spawn({
        let floor = std::sync::Arc::clone(&floor);
        async move { floor.wait(Instant::now()).await }
    });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    floor.set_looked(true);
    waits.await.unwrap();
    assert!(start.elapsed() < CEILING + CEILING / 10);
}
