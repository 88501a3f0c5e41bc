//! Runs the fuzz targets on their seeds and on variations of them; see docs/fuzzing.md.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

#[path = "../fuzz/targets/mod.rs"]
mod targets;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let found = fs::read_dir(folder().join("seeds").join(target)).unwrap();
    let mut paths: Vec<_> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

fn run(target: &str) -> fn(&[u8]) {
    targets::ALL.iter().find(|(name, _)| *name == target).unwrap().1
}

/// Guard that releases the shared state of the targets on drop.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        targets::end_world();
    }
}

/// Runs the target on every seed.
fn replay(target: &str) {
    let _end = End;
    let seeds = seeds(target);
    assert!(seeds.len() >= 3, "only {} seeds", seeds.len());
    for (path, input) in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(target)(&input))) {
            eprintln!("{} is to blame", path.display());
            resume_unwind(panic);
        }
    }
}

/// Runs the target on seeds in which a random part is replaced.
fn vary(target: &str) {
    let _end = End;
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, input)| input).collect();
    let one = prop::sample::select(seeds);
    let patch =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..8), "\\PC{0,6}".prop_map(Into::into)];
    let inputs = (one.clone(), one, any::<prop::sample::Index>(), 0..8_usize, patch, any::<bool>());
    let varied = inputs.prop_map(|(mut input, other, at, length, mut patch, spliced)| {
        let at = at.index(input.len() + 1);
        if spliced {
            patch = other.get(at..).unwrap_or_default().to_vec();
        }
        input.splice(at..(at + length).min(input.len()), patch);
        input
    });
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() };
    // A fixed random seed makes the inputs reproducible. Finding new inputs is the task of the
    // fuzzer, and must not fail an unrelated change.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let answered = runner.run(&varied, |input| {
        run(target)(&input);
        Ok(())
    });
    answered.unwrap();
}

macro_rules! tests {
    ($($target:ident)*) => {
        mod every_kept_input_is_answered_as_it_has_to_be {
            $(#[test]
            fn $target() {
                super::replay(stringify!($target));
            })*
        }

        mod so_is_what_is_made_of_them {
            $(#[test]
            fn $target() {
                super::vary(stringify!($target));
            })*
        }

        const TESTED: &[&str] = &[$(stringify!($target)),*];
    };
}

tests! {
    authorization flask_sentinel form_bodies forwarded management password_hashes settings stored_sessions tokens user_rows
}

#[test]
fn every_fuzz_target_has_binary_test_and_seeds() {
    let names: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TESTED);
    let manifest: toml::Table =
        fs::read_to_string(folder().join("Cargo.toml")).unwrap().parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap();
    let bins: Vec<&str> = bins.iter().map(|bin| bin["name"].as_str().unwrap()).collect();
    assert_eq!(names, bins);
    let folders = fs::read_dir(folder().join("seeds")).unwrap();
    let mut folders: Vec<_> =
        folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(names, folders);
}
