//! Tests of password hashes of other frameworks: they are verified, and upgraded to argon2id.
//!
//! Django 5.2 (`PBKDF2PasswordHasher().encode(password, salt)` and others) generated the hashes of
//! Django, and Werkzeug 3.1 (`generate_password_hash(password, method)`) those of Werkzeug. Those
//! of Spring were generated with Python's hashlib in the formats of Spring Security 5.8: salt and
//! result in hexadecimal for PBKDF2, `$parameters$salt$result` for scrypt.

use proptest::prelude::*;
use sentinel::password::{
    HashError, HashPolicy, HashScheme, Hasher, ImportHashError, PasswordPool, Verdict, import_hash,
    needs_upgrade,
};

const POLICY: HashPolicy = HashPolicy {
    scheme: HashScheme::Argon2id,
    memory_kib: 64,
    iterations: 2,
    parallelism: 1,
    bcrypt_cost: 5,
};

const PASSWORD: &str = "correct horse battery staple";

const QUICK: &str =
    "pbkdf2_sha256$1000$seasalt0seasalt0seasa0$zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=";

/// Hash as the framework stores it, and the prefix of its form in the store.
const HASHES: [(&str, &str); 20] = [
    // Django
    (
        "pbkdf2_sha256$1000000$seasalt0seasalt0seasa0$oU3YlAgin5bQvW8DzvjdxGWXeLYRuX1cwm46hF1a4s0=",
        "$pbkdf2-sha256$i=1000000,l=32$",
    ),
    (
        "pbkdf2_sha1$1000000$seasalt0seasalt0seasa0$xYhSNlfchHB+DYPAlxpfGE50zHs=",
        "$pbkdf2-sha1$i=1000000,l=20$",
    ),
    (QUICK, "$pbkdf2-sha256$i=1000,l=32$"),
    (
        "scrypt$16384$seasalt0seasalt0seasa0$8$5$GJeAwu6ny9vHPmIi8hB8eeWnsVHl6ju8y9uJiaz8U7oCZr2q+jwpMKMdUvAkI0sQDkhFNb83Ah3OdGA0xLHZ3Q==",
        "$scrypt$ln=14,r=8,p=5$",
    ),
    (
        "argon2$argon2id$v=19$m=102400,t=2,p=8$c2Vhc2FsdDBzZWFzYWx0MHNlYXNhMA$ELXBU9d3hEiF90xQb2zz0JWRtoyvAGIwUEZvIRBFX7w",
        "$argon2id$v=19$m=102400,t=2,p=8$",
    ),
    ("bcrypt$$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "$2b$04$"),
    // Werkzeug
    (
        "scrypt:32768:8:1$cTwekdKzd9fudAJf$8abeb7c9d64d2958aaed85083dfadebdf58b2e11b158775d22dad1ec965126dd4f1eee59efa1532ad3ade0b49794898e455e9742e93314ad6224f35429a4cb1c",
        "$scrypt$ln=15,r=8,p=1$",
    ),
    (
        "scrypt:1024:8:1$e02rch3o4TR0F7fn$73c6b3becc83f3c40fb0cab3e4205d233b7daef26575d47fdeb5c45d828c78f2c6731977a95b9036070f9dddf3f865566d916560999c66c9e7b56bcc5411be0d",
        "$scrypt$ln=10,r=8,p=1$",
    ),
    (
        "pbkdf2:sha256:1000000$pnScIM1LmljYP4yp$284337f05cf6f93f70a7a5729c25f7f730526a6937c9d2c9b3ce06382e9e4148",
        "$pbkdf2-sha256$i=1000000,l=32$",
    ),
    (
        "pbkdf2:sha256:1000$F3HeTUeZvFvksryK$5ab5fc3cb2a6866a115e0a75dfd774e5c0872bd18964359ac95a106460a0f50f",
        "$pbkdf2-sha256$i=1000,l=32$",
    ),
    (
        "pbkdf2:sha512:1000$9qmlHU3DHHfnGS7K$0764eaa0ec9fa0a87f3f5edfab266488e791eb36b204163dda4ec072f2bef4a678a4a1870f22b4016415253a54541832ca2f8d07aa71eef7042fc5a6b2f16460",
        "$pbkdf2-sha512$i=1000,l=64$",
    ),
    (
        "pbkdf2:sha1:1000$uSMDfMVbX9HNksuX$2e577b152963152dd9ae0e7fc959e8af651fdd8a",
        "$pbkdf2-sha1$i=1000,l=20$",
    ),
    // Spring
    (
        "{pbkdf2}0001020304050607ba3cc1ee20153cf68cf4fbbc84706c51c9be80a9f09a53fee72fafb5d3db35e5",
        "$pbkdf2-sha1$i=185000,l=32$",
    ),
    (
        "{pbkdf2@SpringSecurity_v5_8}000102030405060708090a0b0c0d0e0f7b8ad24392905caa0cc9ebb5b45a445371cca3ab69958986ede276f3458f73fa",
        "$pbkdf2-sha256$i=310000,l=32$",
    ),
    (
        "{scrypt}$e0801$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$oKVnRMtLyQwkoJkveiiGjSnQx5Bpjg/4OMnCtGejQEI=",
        "$scrypt$ln=14,r=8,p=1$",
    ),
    (
        "{scrypt@SpringSecurity_v5_8}$100801$AAECAwQFBgcICQoLDA0ODw==$1a0ZQtnx0oHhn48xj8fOQ5+iE1AgsBClgPgQyKBBRRw=",
        "$scrypt$ln=16,r=8,p=1$",
    ),
    ("{bcrypt}$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "$2b$04$"),
    (
        "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=102400,t=2,p=8$c2Vhc2FsdDBzZWFzYWx0MHNlYXNhMA$ELXBU9d3hEiF90xQb2zz0JWRtoyvAGIwUEZvIRBFX7w",
        "$argon2id$v=19$m=102400,t=2,p=8$",
    ),
    // Without a framework's prefix
    ("$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "$2b$04$"),
    (
        "$argon2id$v=19$m=102400,t=2,p=8$c2Vhc2FsdDBzZWFzYWx0MHNlYXNhMA$ELXBU9d3hEiF90xQb2zz0JWRtoyvAGIwUEZvIRBFX7w",
        "$argon2id$v=19$m=102400,t=2,p=8$",
    ),
];

#[test]
fn imported_hash_verifies_its_password_only() {
    let mut hasher = Hasher::new(POLICY).unwrap();
    for (text, begins) in HASHES {
        let hash = import_hash(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(hash.encoded().starts_with(begins), "{}", hash.encoded());
        assert!(hash.is_imported());
        assert!(hasher.verify(&PASSWORD.into(), &hash).unwrap(), "{text}");
        assert!(!hasher.verify(&"Correct horse battery staple".into(), &hash).unwrap(), "{text}");
        // The stored form is parsed too, since exports contain it.
        assert_eq!(import_hash(hash.encoded()).unwrap(), hash);
    }
}

#[tokio::test]
async fn verifying_imported_hash_upgrades_it_to_argon2id() {
    let policy = HashPolicy { memory_kib: 19456, ..POLICY };
    let pool = PasswordPool::start(policy, 1, 8).unwrap();
    for text in [QUICK, HASHES[7].0, HASHES[12].0, HASHES[5].0] {
        let hash = import_hash(text).unwrap();
        assert!(needs_upgrade(&hash, &policy), "{text}");
        let wrong = pool.verify("wrong".into(), Some(hash.clone())).await.unwrap();
        assert_eq!(wrong, Verdict::Wrong);
        let right = pool.verify(PASSWORD.into(), Some(hash)).await.unwrap();
        let Verdict::Right { upgrade: Some(better) } = right else { panic!("{text}: {right:?}") };
        assert!(better.encoded().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let again = pool.verify(PASSWORD.into(), Some(better)).await.unwrap();
        assert_eq!(again, Verdict::Right { upgrade: None });
    }
}

#[test]
fn imported_hash_above_cost_limits_is_refused() {
    let result = "zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=";
    for text in [
        format!("pbkdf2_sha256$10000001$seasalt${result}"),
        format!("pbkdf2_sha256$4294967295$seasalt${result}"),
        // A result of two SHA-1 blocks doubles the work.
        format!("pbkdf2_sha1$5000001$seasalt${result}"),
        format!("scrypt$524288$seasalt$8$1${result}"),
        format!("scrypt$2147483648$seasalt$64$1${result}"),
        format!("scrypt$131072$seasalt$8$16${result}"),
        format!("scrypt$2$seasalt$1000000$1000${result}"),
        format!("$scrypt$ln=63,r=8,p=1$c2Vhc2FsdA${}", result.trim_end_matches('=')),
        "$2b$17$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG".to_owned(),
        "$argon2id$v=19$m=2000000,t=2,p=8$c2Vhc2FsdDBzZWFzYWx0MHNlYXNhMA$ELXBU9d3hEiF90xQb2zz0JWRtoyvAGIwUEZvIRBFX7w".to_owned(),
    ] {
        let error = import_hash(&text).unwrap_err();
        assert!(matches!(error, ImportHashError::Hash(HashError::TooCostly(_))), "{text}: {error}");
    }
}

#[test]
fn unsupported_or_malformed_hash_is_refused_with_reason() {
    for (text, reason) in [
        (
            "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuaBT8mpw5tGdD3eO40znWcQP/dT9hEVK",
            "SHA-256 digest",
        ),
        ("md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3", "too fast to be safe"),
        ("{noop}hunter2", "the password itself"),
        ("{SHA-1}deadbeef", "too fast to be safe"),
        ("{ldap}{SSHA}x", "too fast to be safe"),
        ("pbkdf2:md5:1000$seasalt$00112233445566778899aabbccddeeff", "other than SHA-1"),
        ("hunter2", "format of the hash is unknown"),
        ("", "format of the hash is unknown"),
        ("$", "format of the hash is unknown"),
        ("$5$salt$hash", "format of the hash is unknown"),
        ("sha256$x$y", "format of the hash is unknown"),
        ("{other}x", "format of the hash is unknown"),
        ("pbkdf2_sha256$x$seasalt$zmwH", "malformed"),
        ("pbkdf2_sha256$+1000$seasalt$zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=", "malformed"),
        ("pbkdf2_sha256$0$seasalt$zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=", "malformed"),
        ("pbkdf2_sha256$1000$seasalt$AAAA", "malformed"),
        ("scrypt:1000:8:1$seasalt$00112233445566778899aabbccddeeff", "power of two"),
        ("scrypt:1024:0:1$seasalt$00112233445566778899aabbccddeeff", "malformed"),
        ("{pbkdf2}0011", "Spring's default"),
        ("{scrypt}$$$", "malformed"),
        ("$2b$04$short", "malformed"),
    ] {
        let error = import_hash(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

proptest! {
    #[test]
    fn parsing_arbitrary_imported_hash_never_panics(
        start in prop::sample::select(&HASHES[..]), cut in 0_usize..200, tail in "[0-9a-zA-Z$:,={}+/-]{0,60}"
    ) {
        let start = start.0.get(..cut.min(start.0.len())).unwrap_or_default();
        let _ = import_hash(&format!("{start}{tail}"));
    }
}
