//! Upgrades of outdated hashes, and limits on hash parameters.

use sentinel::domain::PasswordHash;
use sentinel::password::{HashError, HashPolicy, HashScheme, Hasher, PolicyError, needs_upgrade};

const SMALL: HashPolicy = HashPolicy {
    scheme: HashScheme::Argon2id,
    memory_kib: 64,
    iterations: 2,
    parallelism: 1,
    bcrypt_cost: 5,
};

const SMALL_BCRYPT: HashPolicy = HashPolicy { scheme: HashScheme::Bcrypt, ..SMALL };

const BCRYPT_2B: &str = "$2b$05$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu";

#[test]
fn hash_weaker_than_the_policy_or_of_another_scheme_needs_an_upgrade() {
    let policy = HashPolicy { memory_kib: 19456, ..SMALL };
    let bcrypt_policy = HashPolicy { scheme: HashScheme::Bcrypt, ..policy };
    let argon2 = |function: &str, params: &str| {
        let tail = "c2FsdHNhbHRzYWx0c2FsdA$ZYtxhQxeyNZlcvkwg8dwJk9qNxma2cHSPQx/9UORRWA";
        PasswordHash::own(format!("${function}${params}${tail}"))
    };
    for (stays, hash) in [
        (true, argon2("argon2id", "v=19$m=19456,t=2,p=1")),
        (true, argon2("argon2id", "v=19$m=65536,t=3,p=4")),
        (false, argon2("argon2id", "v=19$m=19455,t=2,p=1")),
        (false, argon2("argon2id", "v=19$m=65536,t=1,p=4")),
        (false, argon2("argon2i", "v=19$m=65536,t=3,p=4")),
        (false, argon2("argon2d", "v=19$m=65536,t=3,p=4")),
        (false, argon2("argon2id", "v=16$m=65536,t=3,p=4")),
        (false, PasswordHash::own(BCRYPT_2B.to_owned())),
    ] {
        assert_eq!(needs_upgrade(&hash, &policy), !stays, "{}", hash.encoded());
        assert!(needs_upgrade(&hash, &bcrypt_policy) || hash.encoded() == BCRYPT_2B);
    }
    let two_lanes = HashPolicy { parallelism: 2, ..policy };
    assert!(needs_upgrade(&argon2("argon2id", "v=19$m=65536,t=3,p=1"), &two_lanes));

    let costlier = HashPolicy { bcrypt_cost: 6, ..bcrypt_policy };
    let own = PasswordHash::own(BCRYPT_2B.to_owned());
    let imported = PasswordHash::imported(BCRYPT_2B.to_owned());
    assert!(!needs_upgrade(&own, &bcrypt_policy));
    assert!(needs_upgrade(&own, &costlier));
    assert!(needs_upgrade(&imported, &bcrypt_policy));
    assert!(needs_upgrade(&PasswordHash::own("hunter2".to_owned()), &policy));
}

#[test]
fn policy_with_out_of_range_parameters_is_refused() {
    let check = |policy: HashPolicy| Hasher::new(policy).unwrap_err();
    let error = check(HashPolicy { parallelism: 0, ..SMALL });
    assert!(matches!(error, PolicyError::Parallelism { got: 0, .. }));
    let error = check(HashPolicy { parallelism: 9, ..SMALL });
    assert_eq!(
        error.to_string(),
        "password memory_kib: expected 72 (8 for each lane) to 1048576, got 64"
    );
    let error = check(HashPolicy { memory_kib: 2_000_000, ..SMALL });
    assert!(matches!(error, PolicyError::Memory { got: 2_000_000, .. }));
    let error = check(HashPolicy { iterations: 0, ..SMALL });
    assert!(matches!(error, PolicyError::Iterations { got: 0, .. }));
    let error = check(HashPolicy { iterations: 70_000, ..SMALL });
    assert!(matches!(error, PolicyError::Iterations { max: 65_536, .. }));
    let error = check(HashPolicy { bcrypt_cost: 17, ..SMALL_BCRYPT });
    assert!(matches!(error, PolicyError::BcryptCost { max: 16, .. }));
    // Parameters of a scheme that is not in use are not checked.
    assert!(Hasher::new(HashPolicy { bcrypt_cost: 99, ..SMALL }).is_ok());
}

#[test]
fn stored_hash_with_excessive_parameters_is_too_costly() {
    for encoded in [
        "$argon2i$v=19$m=1048577,t=1,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=19456,t=4294967295,p=1$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$argon2i$v=19$m=19456,t=1,p=4294967295$c2FsdHNhbHQ$fwEloPNoiNo2lBPR3agnSg",
        "$2b$31$9TyagXFmUEREA9CweyhUjuH147b7pcb3FjmfJOcg62a87CuRwkjWu",
    ] {
        let stored = PasswordHash::own(encoded.to_owned());
        let result = Hasher::new(SMALL).unwrap().verify(&"hunter2".into(), &stored);
        assert!(matches!(result, Err(HashError::TooCostly(_))), "{encoded}: {result:?}");
    }
}
