//! Tests of password hashes of other frameworks: they are verified, and upgraded to argon2id.
//!
//! Django 5.2 (`PBKDF2PasswordHasher().encode(password, salt)` and others) generated the hashes of
//! Django, and Werkzeug 3.1 (`generate_password_hash(password, method)`) those of Werkzeug. Those
//! of Spring were generated with Python's hashlib in the formats of Spring Security 5.8: salt and
//! result in hexadecimal for PBKDF2, `$parameters$salt$result` for scrypt. passlib 1.7, `openssl
//! passwd` and Apache's `htpasswd` generated those of `crypt(3)` and LDAP. The hashes of ASP.NET
//! Core, Firebase, Keycloak and WordPress are published ones, with the passwords of their sources.

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

/// Signer key, salt separator and hash of the README of firebase/scrypt, in one string.
const FIREBASE: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

/// Published hashes with their passwords, and the prefixes of their forms in the store.
const PUBLISHED: [(&str, &str, &str); 10] = [
    // PasswordHasherTest.cs of ASP.NET Core
    (
        "AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M",
        "my password",
        "$pbkdf2-sha1$i=250,l=16$",
    ),
    (
        "AQAAAAEAA9CQAAAAIESkQuj2Du8Y+kbc5lcN/W/3NiAZFEm11P27nrSN5/tId+bR1SwV8CO1Jd72r4C08OLvplNlCDc3oQZ8efcW+jQ=",
        "my password",
        "$pbkdf2-sha256$i=250000,l=32$",
    ),
    (
        "AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw==",
        "my password",
        "$pbkdf2-sha512$i=250,l=64$",
    ),
    (
        "AQAAAAIAAYagAAAAEAABAgMEBQYHCAkKCwwNDg/Q8A0WMKbtHQJQ2DHCdoEeeFBrgNlldq6vH4qX/CGqGQ==",
        "my password",
        "$pbkdf2-sha512$i=100000,l=32$",
    ),
    // Realms of Keycloak 18 and 26, as exported
    (
        r#"{"type":"password","secretData":"{\"value\":\"CLjrvS+eZhW7mZLsrsh2J4PFV9tSnuRLbXdk3zOMAz4Gd43uncF82/XUJzwRB81AhEzo5iTbeRJcdTNew68hOw==\",\"salt\":\"B3GWb1ueKbn6EiSZwS+W9A==\",\"additionalParameters\":{}}","credentialData":"{\"hashIterations\":27500,\"algorithm\":\"pbkdf2-sha256\",\"additionalParameters\":{}}"}"#,
        "test",
        "$pbkdf2-sha256$i=27500,l=64$",
    ),
    (
        r#"{ "secretData": {"value":"EnDApHjOOFUBdPCpGIuC6IadN4J96U5dfWp/4iap5w0=","salt":"hIO6r09/QlCLPsBNdVEr9A=="}, "credentialData": {"hashIterations":5,"algorithm":"argon2","additionalParameters":{"hashLength":["32"],"memory":["7168"],"type":["id"],"version":["1.3"],"parallelism":["1"]}}}"#,
        "manager",
        "$argon2id$v=19$m=7168,t=5,p=1$",
    ),
    // WordPress 6.8, which ignores white space at the ends of a password
    ("$wp$2y$10$Q1xinFjrZeLWJBvxviIL6u834Fu.evIEFHAUVisQ5O.w9Dm0sMdES", "admin", "$wp$2y$10$"),
    ("$wp$2y$10$Q1xinFjrZeLWJBvxviIL6u834Fu.evIEFHAUVisQ5O.w9Dm0sMdES", " admin\t\n", "$wp$2y$10$"),
    (FIREBASE, "user1password", "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk="),
    // SHA-crypt.txt by Ulrich Drepper
    (
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        "Hello world!",
        "$6$rounds=10000$",
    ),
];

/// Hash as the framework stores it, and the prefix of its form in the store.
const HASHES: [(&str, &str); 38] = [
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
    (
        "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuaBT8mpw5tGdD3eO40znWcQP/dT9hEVK",
        "bcrypt_sha256$$2b$04$",
    ),
    // passlib, with both alphabets of base64
    (
        "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZvv/$VXQ90/B/d5583nVqdwtLCGHZWkRYqtz21p3DMpfKEBU",
        "$pbkdf2-sha256$i=1000,l=32$",
    ),
    (
        "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$5bTW2oeyDJyGJPcmEr.mRDE11ghpozWrDGnSNhRXo2ZCu0KHRDiUMAVEGzLJC.oDhRoeIja9J1iLIv9ptDJMfQ",
        "$pbkdf2-sha512$i=1000,l=64$",
    ),
    (
        "$pbkdf2$1000$MDEyMzQ1Njc4OWFiY2RlZg$wmIXv0mv7iouqkc9CKjRvCX21po",
        "$pbkdf2-sha1$i=1000,l=20$",
    ),
    // LDAP servers and Dovecot
    (
        "{PBKDF2}1000$MDEyMzQ1Njc4OWFiY2RlZg$wmIXv0mv7iouqkc9CKjRvCX21po",
        "$pbkdf2-sha1$i=1000,l=20$",
    ),
    (
        "{PBKDF2-SHA256}1000$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES.wqLsOT5YmiRBplI",
        "$pbkdf2-sha256$i=1000,l=32$",
    ),
    (
        "{PBKDF2-SHA512}1000$MDEyMzQ1Njc4OWFiY2RlZg$5bTW2oeyDJyGJPcmEr.mRDE11ghpozWrDGnSNhRXo2ZCu0KHRDiUMAVEGzLJC.oDhRoeIja9J1iLIv9ptDJMfQ",
        "$pbkdf2-sha512$i=1000,l=64$",
    ),
    ("{CRYPT}$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG", "$2b$04$"),
    ("{crypt}$2y$04$krb74I9qYAVIgDBNvGfYQ.LNSh6PzOX2/5g/RXZajq0SoAHcvaO02", "$2y$04$"),
    ("{BLF-CRYPT}$2y$04$krb74I9qYAVIgDBNvGfYQ.LNSh6PzOX2/5g/RXZajq0SoAHcvaO02", "$2y$04$"),
    (
        "{ARGON2ID}$argon2id$v=19$m=102400,t=2,p=8$c2Vhc2FsdDBzZWFzYWx0MHNlYXNhMA$ELXBU9d3hEiF90xQb2zz0JWRtoyvAGIwUEZvIRBFX7w",
        "$argon2id$v=19$m=102400,t=2,p=8$",
    ),
    (
        "{CRYPT}$6$seasalt0$UIKBsSKcwzlJuSVghAkX2YyilnXF7hsilQ4sS/qLGLidykbFsKYIVR/WBuacUlCCfVyy2UMn6MhwhVqfJQKLW/",
        "$6$seasalt0$",
    ),
    (
        "{SHA512-CRYPT}$6$rounds=1000$seasalt0seasalt0$MJkZtoKA7ZDOZtC/M5DIZ/qMDDC0A5LkBe6J.VqLfs4HBDFAQlmrBAchOeASa.gQtrW.gVJvNq1ti5jZzM0Pg1",
        "$6$rounds=1000$",
    ),
    (
        "{SHA256-CRYPT}$5$rounds=1000$seasalt0$IWZQwmLfxM8xUqpJPYVpKzbJ0Suw/jj5uhsm17SElo8",
        "$5$rounds=1000$",
    ),
    // openssl passwd -5 and -6, htpasswd -B
    ("$5$seasalt0$6tQDt5nQKF9PqKiTzxXKQJGSBFB/DWLewS9zNZR0315", "$5$"),
    (
        "$6$seasalt0$UIKBsSKcwzlJuSVghAkX2YyilnXF7hsilQ4sS/qLGLidykbFsKYIVR/WBuacUlCCfVyy2UMn6MhwhVqfJQKLW/",
        "$6$",
    ),
    ("$2y$04$krb74I9qYAVIgDBNvGfYQ.LNSh6PzOX2/5g/RXZajq0SoAHcvaO02", "$2y$04$"),
    ("$wp$2y$04$abcdefghijklmnopqrstuuV0klnHbXcaXKo7A89DBGKqZVoAS9L2u", "$wp$2y$04$"),
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

#[test]
fn published_hash_verifies_its_published_password_only() {
    let mut hasher = Hasher::new(POLICY).unwrap();
    for (text, password, begins) in PUBLISHED {
        let hash = import_hash(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(hash.encoded().starts_with(begins), "{}", hash.encoded());
        assert!(hasher.verify(&password.into(), &hash).unwrap(), "{text}");
        assert!(!hasher.verify(&PASSWORD.into(), &hash).unwrap(), "{text}");
        assert_eq!(import_hash(hash.encoded()).unwrap(), hash);
    }
}

#[test]
fn digest_before_bcrypt_covers_long_passwords_and_nul() {
    // Made by Django 5.2.
    let text = "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuLmG1w5H7IFhna.VRneiVkx8WuGyvXka";
    let hash = import_hash(text).unwrap();
    let mut hasher = Hasher::new(POLICY).unwrap();
    let password = format!("{}\0x", "p".repeat(100));
    assert!(hasher.verify(&password.into(), &hash).unwrap());
    assert!(!hasher.verify(&"p".repeat(100).into(), &hash).unwrap());
}

#[test]
fn password_over_512_bytes_never_matches_sha_crypt() {
    // Made by passlib 1.7 of 512 letters.
    let text = "$6$seasalt0$wZp9BC4ZdX/hZ7ei.9hmfFjslWqjcjGBeHHa8Dz.6Jot.SpolIzjd0PQvn5.6vhgGMj.P1v8j4LXK54k5Uq2z1";
    let hash = import_hash(text).unwrap();
    let mut hasher = Hasher::new(POLICY).unwrap();
    assert!(hasher.verify(&"p".repeat(512).into(), &hash).unwrap());
    assert!(!hasher.verify(&"p".repeat(513).into(), &hash).unwrap());
}

#[tokio::test]
async fn verifying_imported_hash_upgrades_it_to_argon2id() {
    let policy = HashPolicy { memory_kib: 19456, ..POLICY };
    let pool = PasswordPool::start(policy, 1, 8).unwrap();
    // The quick ones, of every function.
    let slow = ["$argon2", "1000000", "32768", "$16384", "Spring", "{scrypt}", "{pbkdf2}"];
    for (text, _) in HASHES.iter().filter(|(text, _)| !slow.iter().any(|part| text.contains(part)))
    {
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
        format!("$pbkdf2-sha256$10000001$c2Vhc2FsdA${result}"),
        format!("{{PBKDF2-SHA256}}10000001$c2Vhc2FsdA${result}"),
        format!("$6$rounds=1000001$seasalt${}", "a".repeat(86)),
        FIREBASE.replace("n=14", "n=19"),
        FIREBASE.replace("p=1", "p=65"),
        "AQAAAAEAmJaBAAAAIESkQuj2Du8Y+kbc5lcN/W/3NiAZFEm11P27nrSN5/tId+bR1SwV8CO1Jd72r4C08OLvplNlCDc3oQZ8efcW+jQ=".to_owned(),
        r#"{"secretData":{"value":"melJaiZVEhUuX0D3BknjCB9u6LIyHwuGMNvvpzb4UnI=","salt":"0SlTWodi3ktkBhXAdCbo6A=="},"credentialData":{"hashIterations":10000001,"algorithm":"pbkdf2-sha256"}}"#.to_owned(),
        PUBLISHED[5].0.replace("7168", "1048577"),
        "$wp$2y$17$Q1xinFjrZeLWJBvxviIL6u834Fu.evIEFHAUVisQ5O.w9Dm0sMdES".to_owned(),
        "bcrypt_sha256$$2b$17$abcdefghijklmnopqrstuuaBT8mpw5tGdD3eO40znWcQP/dT9hEVK".to_owned(),
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
        ("md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3", "too fast to be safe"),
        ("{noop}hunter2", "the password itself"),
        ("{SHA-1}deadbeef", "too fast to be safe"),
        ("{ldap}{SSHA}x", "too fast to be safe"),
        ("pbkdf2:md5:1000$seasalt$00112233445566778899aabbccddeeff", "other than SHA-1"),
        ("hunter2", "format of the hash is unknown"),
        ("", "format of the hash is unknown"),
        ("$", "format of the hash is unknown"),
        ("$5$salt$hash", "malformed"),
        ("$6$rounds=999$salt$hash", "malformed"),
        ("$6$$hash", "malformed"),
        ("$6$rounds=+5000$salt$hash", "malformed"),
        ("$1$salt$hash", "too fast to be safe"),
        ("$apr1$salt$hash", "too fast to be safe"),
        ("$P$BiOPTwAlxBqfNaJzMvFZT6pZ.FZuLo0", "too fast to be safe"),
        ("{CRYPT}aaMMtzFgkVDMw", "too fast to be safe"),
        ("{SSHA}deadbeef", "too fast to be safe"),
        ("{PBKDF2-SHA256}1000$c2Vh", "malformed"),
        ("{BLF-CRYPT}hunter2", "format of the hash is unknown"),
        ("$wp$2y$10$short", "malformed"),
        ("$wphunter2", "malformed"),
        ("$fbscrypt$v=2,n=14,r=8,p=1,ss=Bw==,sk=AAAA$AAAA$AAAA", "malformed"),
        (
            "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=AAAA$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9A==",
            "malformed",
        ),
        ("AQAAAAAAAAD6AAAAEAhftMyfTJy", "malformed"),
        ("AQAAAAMAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M", "ASP.NET"),
        ("AQAAAAAAAAD6/////whftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M", "ASP.NET"),
        (r#"{"value":"hunter2","type":"password"}"#, "credential of Keycloak"),
        (r#"{"secretData":"hunter2","credentialData":"hunter2"}"#, "credential of Keycloak"),
        (
            r#"{"secretData":{"value":"AAAA","salt":"AAAA"},"credentialData":{"hashIterations":1,"algorithm":"bcrypt"}}"#,
            "unknown",
        ),
        (
            r#"{"secretData":{"value":"AAAA","salt":"AAAA"},"credentialData":{"hashIterations":1,"algorithm":"argon2"}}"#,
            "credential of Keycloak",
        ),
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
