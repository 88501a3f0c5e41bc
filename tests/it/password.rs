//! Password hashing and verification: known vectors, the limits of bcrypt, and malformed stored
//! hashes.
//!
//! The vectors were made with Python's argon2-cffi 25 and bcrypt 5.0.

use proptest::prelude::*;
use secrecy::SecretString;
use sentinel::domain::{PasswordHash, to_nfc};
use sentinel::password::{HashError, HashPolicy, HashScheme, Hasher, needs_upgrade};

const SMALL: HashPolicy = HashPolicy {
    scheme: HashScheme::Argon2id,
    memory_kib: 64,
    iterations: 2,
    parallelism: 1,
    bcrypt_cost: 5,
};

const SMALL_BCRYPT: HashPolicy = HashPolicy { scheme: HashScheme::Bcrypt, ..SMALL };

const OWN_DEFAULT: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";
const BCRYPT_2B: &str = "$2b$05$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu";

fn verify(password: &str, encoded: &str) -> Result<bool, HashError> {
    let stored = PasswordHash::own(encoded.to_owned());
    Hasher::new(SMALL).unwrap().verify(&password.into(), &stored)
}

fn verify_imported(password: &str, encoded: &str) -> bool {
    let stored = PasswordHash::imported(encoded.to_owned());
    let mut hasher = Hasher::new(SMALL).unwrap();
    hasher.verify(&password.into(), &stored).unwrap()
}

fn hash(policy: HashPolicy, password: &str) -> Result<PasswordHash, HashError> {
    Hasher::new(policy).unwrap().hash(&password.into())
}

#[test]
fn argon2_hashes_made_by_other_tools_verify() {
    for (password, encoded) in [
        ("correct horse", OWN_DEFAULT),
        (
            "pässwörd ✓",
            "$argon2id$v=19$m=256,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$RUKQ2hojMT2lER+6USWBMBybUImVHTQYkHGOTod2OiM",
        ),
        (
            "",
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$ZYtxhQxeyNZlcvkwg8dwJk9qNxma2cHSPQx/9UORRWA",
        ),
        (
            "nul\0inside",
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$g4uxe/IwTMtKF8QuFFtzNdtGuKL+xGeO",
        ),
        ("correct horse", "$argon2i$v=19$m=128,t=2,p=2$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg"),
        (
            "correct horse",
            "$argon2d$v=19$m=128,t=2,p=2$c2FsdHNhbHQ$le2k2f7PoUXVONUXXMd0CIk2GEdWuRlJqXhybzEmNBFlMUpnm7e/6RcSsVWNqpSt6aMyKM38JuBAbSt16R4Nlg",
        ),
        (
            "correct horse",
            "$argon2i$v=16$m=128,t=2,p=1$c2FsdHNhbHQ$kno32Ie2vLmgMxvBzmKaj05N3VaAZsSTnqKmccBJ7Lg",
        ),
        (
            "correct horse",
            "$argon2i$m=128,t=2,p=1$c2FsdHNhbHQ$kno32Ie2vLmgMxvBzmKaj05N3VaAZsSTnqKmccBJ7Lg",
        ),
    ] {
        assert!(verify(password, encoded).unwrap(), "{encoded}");
        assert!(!verify("Correct horse", encoded).unwrap(), "{encoded}");
    }
}

#[test]
fn bcrypt_hashes_made_by_other_tools_verify() {
    for (password, encoded) in [
        ("correct horse", "$2a$05$JK9Py0DkWidk4DhGdfkBSetARc6Zb.VS6qUMPqSWs1ev1y4xiA/Xa"),
        ("correct horse", BCRYPT_2B),
        ("correct horse", "$2y$05$fj/gjPmP8CXix7klyZoZuuhPEh8PndMVrK7banHUUv78.NHhvFEra"),
        ("pässwörd ✓", "$2b$05$SHAs6KZP5RCoJoOu8DlCVeIViyjKNYtWD.eWG0o0MoY9NEjkqVWNK"),
        ("", "$2b$05$V2jl4T9zbxU3DOkCB2Z.IuUFzD5UYlyehqZINMF0IN8FAtmess0MW"),
        (&"x".repeat(72), "$2b$05$fzhplImLXSFla7PIdR4.xe.ND.BrGy5FZKG/ygs3B3UWuya73fVqS"),
        (&"x".repeat(71), "$2a$05$w4F/1RL2qcvdGcshiHKPAOcB7vDOx3SxO9eZVOLg8snM6eBkkYSbS"),
    ] {
        assert!(verify(password, encoded).unwrap(), "{encoded}");
        assert!(verify_imported(password, encoded), "{encoded}");
        assert!(!verify("Correct horse", encoded).unwrap(), "{encoded}");
    }
}

#[test]
fn unused_bits_of_a_bcrypt_salt_are_ignored() {
    // The 22nd character of the salt carries only two bits: `u` and `v` decode to the same salt.
    let stray = BCRYPT_2B.replacen("weyhUju", "weyhUjv", 1);
    assert_ne!(stray, BCRYPT_2B);
    assert!(verify("correct horse", &stray).unwrap());
}

#[test]
fn new_hashes_encode_scheme_and_parameters_of_the_policy() {
    let argon2 = hash(SMALL, "correct horse").unwrap();
    let fields: Vec<_> = argon2.encoded().split('$').collect();
    assert_eq!(&fields[..4], ["", "argon2id", "v=19", "m=64,t=2,p=1"]);
    assert_eq!((fields[4].len(), fields[5].len(), fields.len()), (22, 43, 6));

    let bcrypt = hash(SMALL_BCRYPT, "correct horse").unwrap();
    assert!(bcrypt.encoded().starts_with("$2b$05$"));
    assert_eq!(bcrypt.encoded().len(), 60);
    assert!(!argon2.is_imported() && !bcrypt.is_imported());
}

#[test]
fn hashing_the_same_password_twice_gives_different_hashes() {
    for policy in [SMALL, SMALL_BCRYPT] {
        assert_ne!(hash(policy, "same").unwrap(), hash(policy, "same").unwrap());
    }
}

#[test]
fn imported_bcrypt_hash_truncates_passwords_at_72_bytes() {
    let whole = "é".repeat(40);
    let encoded = "$2b$05$FwD5Nr2QuxvNDYpeNfWYS.P6ywCZl52VV5ekX3v0.p/hVnNN4anuG";
    assert!(verify_imported(&whole, encoded));
    assert!(verify_imported(&format!("{whole} and more"), encoded));
    assert!(!verify_imported(&"é".repeat(35), encoded));

    let cut_inside = hash(SMALL_BCRYPT, &format!("x{}", "é".repeat(35))).unwrap();
    assert!(!verify_imported(&format!("x{}", "é".repeat(36)), cut_inside.encoded()));
}

#[test]
fn own_bcrypt_hash_refuses_passwords_over_72_bytes() {
    let longest = "x".repeat(72);
    let stored = hash(SMALL_BCRYPT, &longest).unwrap();
    assert!(verify(&longest, stored.encoded()).unwrap());
    assert!(!verify(&"x".repeat(73), stored.encoded()).unwrap());
    let refused = hash(SMALL_BCRYPT, &"x".repeat(73)).unwrap_err();
    assert!(matches!(refused, HashError::TooLong));
    assert!(refused.is_caused_by_password());
}

#[test]
fn nul_in_a_bcrypt_password_neither_truncates_nor_repeats_it() {
    let stored = hash(SMALL_BCRYPT, "a").unwrap();
    for password in ["a\0", "a\0a", "a\0b", "\0"] {
        assert!(!verify(password, stored.encoded()).unwrap());
        assert!(!verify_imported(password, stored.encoded()));
        let refused = hash(SMALL_BCRYPT, password);
        assert!(matches!(refused, Err(HashError::HasNul)));
    }
}

#[test]
fn verification_against_a_malformed_hash_is_an_error() {
    for encoded in [
        "",
        "$",
        "hunter2",
        "$1$salt$hash",
        "$argon2id",
        "$argon2x$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=20$m=64,t=1,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=+64,t=1,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=,t=1,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$t=1,m=64,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=64,t=1,p=1,data=AAAA$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=64,t=1,p=9$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=64,t=1,p=1$c2FsdA$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$",
        "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$fwElo",
        "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg$",
        "$2b$",
        "$2x$05$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu",
        "$2b$03$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu",
        "$2b$5$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu",
        "$2b$05$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjW",
        "$2b$05$9TyagXFmUEREA9CweyhUjéH147b7pcb3FjmfJOcg62a87CuRwkjWu",
    ] {
        let result = verify("hunter2", encoded);
        assert!(matches!(result, Err(HashError::Malformed(_))), "{encoded}: {result:?}");
    }
}

#[test]
fn memory_allocated_for_a_larger_hash_is_released() {
    let mut hasher = Hasher::new(SMALL).unwrap();
    assert_eq!(hasher.kept_kib(), 0);
    let small = hasher.hash(&"correct horse".into()).unwrap();
    assert_eq!(hasher.kept_kib(), 64);
    let big = PasswordHash::own(OWN_DEFAULT.to_owned());
    assert!(hasher.verify(&"correct horse".into(), &big).unwrap());
    assert!(hasher.kept_kib() <= 64);
    // Data left in memory by the larger hash does not affect the next one.
    assert!(hasher.verify(&"correct horse".into(), &small).unwrap());
    hasher.release();
    assert_eq!(hasher.kept_kib(), 0);
    assert!(hasher.verify(&"correct horse".into(), &small).unwrap());
}

#[test]
fn password_hash_debug_output_shows_the_scheme_only() {
    let shown = format!("{:?}", PasswordHash::imported(BCRYPT_2B.to_owned()));
    assert_eq!(shown, r#"PasswordHash { scheme: "2b", imported: true, .. }"#);
    let shown = format!("{:?}", PasswordHash::own("a$hunter2$b".to_owned()));
    assert_eq!(shown, r#"PasswordHash { scheme: "unknown", imported: false, .. }"#);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn argon2id_hash_verifies_exactly_its_own_password(one in any::<String>(), other in any::<String>()) {
        let mut hasher = Hasher::new(SMALL).unwrap();
        let stored = hasher.hash(&SecretString::from(one.clone())).unwrap();
        let one = to_nfc(&one).into_owned();
        prop_assert!(hasher.verify(&SecretString::from(one.clone()), &stored).unwrap());
        prop_assert_eq!(hasher.verify(&SecretString::from(other.clone()), &stored).unwrap(), one == other);
    }

    #[test]
    fn bcrypt_hash_verifies_exactly_its_own_password(one in any::<String>(), other in any::<String>()) {
        let mut hasher = Hasher::new(HashPolicy { bcrypt_cost: 4, ..SMALL_BCRYPT }).unwrap();
        match hasher.hash(&SecretString::from(one.clone())) {
            Ok(stored) => {
                let one = to_nfc(&one).into_owned();
                prop_assert!(hasher.verify(&SecretString::from(one.clone()), &stored).unwrap());
                prop_assert_eq!(hasher.verify(&SecretString::from(other.clone()), &stored).unwrap(), one == other);
            }
            Err(error) => prop_assert!(error.is_caused_by_password() && (to_nfc(&one).len() > 72 || one.contains('\0'))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_an_arbitrary_stored_hash_does_not_panic(
        encoded in prop_oneof![
            any::<String>(),
            r"\$(argon2(id|i|d)|2[abxy])\$(v=1[69]\$)?[mtp=,0-9$]{0,24}\$[A-Za-z0-9+/.=$]{0,90}",
            (0..BCRYPT_2B.len(), any::<char>()).prop_map(|(at, with)| mutated(BCRYPT_2B, at, with)),
            (0..OWN_DEFAULT.len(), any::<char>()).prop_map(|(at, with)| mutated(OWN_DEFAULT, at, with)),
        ],
    ) {
        // Tests parsing only: verifying against some of these would take long, if they are valid.
        needs_upgrade(&PasswordHash::own(encoded), &SMALL);
    }
}

fn mutated(text: &str, at: usize, with: char) -> String {
    format!("{}{with}{}", &text[..at], &text[at + 1..])
}
