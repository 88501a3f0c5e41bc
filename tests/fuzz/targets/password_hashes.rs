//! Password hashes, those of Sentinel and of other frameworks: any text in a file or a store can be
//! refused as a hash, but none can cause unbounded computation.

use std::cell::RefCell;

use secrecy::SecretString;
use sentinel::domain::PasswordHash;
use sentinel::password::{HashError, HashPolicy, HashScheme, Hasher, import_hash, needs_upgrade};

/// The cheapest parameters of argon2.
pub const POLICY: HashPolicy = HashPolicy {
    scheme: HashScheme::Argon2id,
    memory_kib: 8,
    iterations: 1,
    parallelism: 1,
    bcrypt_cost: 4,
};

thread_local! {
    static HASHER: RefCell<Hasher> = RefCell::new(Hasher::new(POLICY).unwrap());
}

/// Takes a password from the first line, and a hash from the rest.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (password, text) = text.split_once('\n').unwrap_or(("", text));
    if let Ok(hash) = import_hash(text) {
        assert!(hash.is_imported());
        // The stored form is Sentinel's, and importing it again does not change it.
        let again = import_hash(hash.encoded()).unwrap();
        assert_eq!(again.encoded(), hash.encoded());
        verify(password, &hash).unwrap();
    }
    for hash in [PasswordHash::own(text.to_owned()), PasswordHash::imported(text.to_owned())] {
        match verify(password, &hash) {
            Ok(()) | Err(HashError::Malformed(_) | HashError::TooCostly(_)) => {}
            Err(other) => panic!("{text:?}: {other}"),
        }
    }
}

/// Verifies a password against a cheap hash. Checks that the cost of other hashes is bounded.
fn verify(password: &str, hash: &PasswordHash) -> Result<(), HashError> {
    let cost = Cost::of(hash.encoded());
    let stronger = HashPolicy { memory_kib: 1 << 20, ..POLICY };
    let upgrade = needs_upgrade(hash, &stronger);
    if !cost.is_small() {
        if !cost.is_bounded() {
            // The hash is rejected before any computation.
            let refused = HASHER.with_borrow_mut(|h| h.verify(&password.into(), hash)).unwrap_err();
            assert!(upgrade, "{hash:?}");
            return Err(refused);
        }
        return Ok(());
    }
    let password = SecretString::from(password);
    let fits = HASHER.with_borrow_mut(|hasher| hasher.verify(&password, hash))?;
    let again = HASHER.with_borrow_mut(|hasher| hasher.verify(&password, hash))?;
    assert_eq!(fits, again);
    Ok(())
}

/// Upper bound of the cost of an encoded hash, read from its parameters alone.
#[derive(Debug, Default)]
struct Cost {
    /// KiB.
    memory: u64,
    /// KiB written, or iterations.
    work: u64,
    too_much: bool,
}

impl Cost {
    fn of(encoded: &str) -> Self {
        let number = |name: &str| {
            let fields = encoded.split(['$', ',']).filter_map(|field| field.strip_prefix(name));
            fields.map(|digits| digits.parse::<u64>().unwrap_or(u64::MAX)).max().unwrap_or(0)
        };
        if encoded.starts_with("$argon2") {
            let (memory, t, p) = (number("m="), number("t="), number("p="));
            let work = memory.saturating_mul(t);
            Self { memory, work, too_much: memory > 1 << 20 || work > 1 << 22 || p > 255 }
        } else if encoded.starts_with("$scrypt$") {
            let (n, r, p) = (number("ln="), number("r="), number("p="));
            let memory =
                1_u64.checked_shl(n.min(64) as u32).unwrap_or(u64::MAX).saturating_mul(r) / 8;
            let work = memory.saturating_mul(p);
            Self { memory, work, too_much: memory > 256 << 10 || work > 1 << 20 || r.max(p) > 64 }
        } else if encoded.starts_with("$fbscrypt$") {
            let (n, r, p) = (number("n="), number("r="), number("p="));
            let memory =
                1_u64.checked_shl(n.min(64) as u32).unwrap_or(u64::MAX).saturating_mul(r) / 8;
            let work = memory.saturating_mul(p);
            Self { memory, work, too_much: memory > 256 << 10 || work > 1 << 20 || r.max(p) > 64 }
        } else if encoded.starts_with("$5$") || encoded.starts_with("$6$") {
            let rounds = if encoded.contains("rounds=") { number("rounds=") } else { 5000 };
            // Each round takes about as long as five of PBKDF2 with a long password.
            Self { memory: 0, work: rounds / 5, too_much: rounds > 1_000_000 }
        } else if encoded.starts_with("$pbkdf2-") {
            let work = number("i=");
            Self { memory: 0, work, too_much: work > 10_000_000 }
        } else {
            let is_prehashed = encoded.starts_with("$wp") || encoded.starts_with("bcrypt_sha256$");
            let place = if is_prehashed { 3 } else { 2 };
            let cost = encoded.split('$').nth(place).and_then(|cost| cost.parse::<u32>().ok());
            let cost = cost.unwrap_or(0).min(63);
            Self { memory: 0, work: 1 << cost, too_much: cost > 16 }
        }
    }

    /// Returns whether the cost is within the limits of verification.
    const fn is_bounded(&self) -> bool {
        !self.too_much
    }

    /// Returns whether verification takes a few milliseconds, even with sanitizers.
    const fn is_small(&self) -> bool {
        self.memory <= 256 && self.work <= 1024
    }
}
