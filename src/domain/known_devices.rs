//! Known devices of a user: addresses of recent logins, kept as keyed digests.
//!
//! A record has a random key, up to ten digests of addresses under that key, and the time of the
//! last login from each. Whoever reads one record can compare addresses with that record alone.

use std::time::Duration;

use super::digest::{hmac_sha256, truncated};
use super::{RandomError, Timestamp, random_bytes};

/// Maximum number of known devices of one user. A further one displaces the one used longest ago.
const MAX_DEVICES: usize = 10;
/// Length in bytes of the record's key.
const KEY_BYTES: usize = 16;
/// Length in bytes of the digest of an address.
const DIGEST_BYTES: usize = 8;
/// Length in bytes of one device in the stored form: the digest and the time of the last login.
const DEVICE_BYTES: usize = DIGEST_BYTES + size_of::<i64>();

/// Known devices of one user, or of the operator or a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDevices {
    key: [u8; KEY_BYTES],
    /// Digest of an address, and the time of the last login from there.
    devices: Vec<([u8; DIGEST_BYTES], Timestamp)>,
}

impl KnownDevices {
    /// Time for which a device is known after a successful login.
    pub const TTL: Duration = Duration::from_secs(30 * 24 * 3600);

    /// Creates a record without devices, with a random key.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes.
    pub fn new() -> Result<Self, RandomError> {
        Ok(Self { key: random_bytes()?, devices: Vec::new() })
    }

    /// Returns whether a login from `address` succeeded in the [`Self::TTL`] before `now`.
    pub fn contains(&self, address: &[u8], now: Timestamp) -> bool {
        let digest = self.digest(address);
        self.devices.iter().any(|(known, at)| *known == digest && is_fresh(*at, now))
    }

    /// Adds the device at `address` with a login at `now`, and removes expired devices.
    pub fn remember(&mut self, address: &[u8], now: Timestamp) {
        let digest = self.digest(address);
        self.devices.retain(|(known, at)| *known != digest && is_fresh(*at, now));
        self.devices.push((digest, now));
        let excess = self.devices.len().saturating_sub(MAX_DEVICES);
        self.devices.drain(..excess);
    }

    /// Returns the stored form: the key, and then each device, the one used longest ago first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.key.to_vec();
        for (digest, at) in &self.devices {
            bytes.extend_from_slice(digest);
            bytes.extend_from_slice(&at.as_millis().to_be_bytes());
        }
        bytes
    }

    /// Reads the stored form. Returns `None` if it is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, devices) = bytes.split_first_chunk::<KEY_BYTES>()?;
        let devices = devices.chunks(DEVICE_BYTES).map(|device| {
            let (digest, at) = device.split_first_chunk::<DIGEST_BYTES>()?;
            let at = i64::from_be_bytes(at.try_into().ok()?);
            Some((*digest, Timestamp::from_millis(at)))
        });
        Some(Self { key: *key, devices: devices.collect::<Option<_>>()? })
    }

    fn digest(&self, address: &[u8]) -> [u8; DIGEST_BYTES] {
        truncated(&hmac_sha256(&self.key, &[address]))
    }
}

fn is_fresh(login: Timestamp, now: Timestamp) -> bool {
    now < login.plus(KnownDevices::TTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    #[test]
    fn device_is_known_for_30_days_after_its_last_login() {
        let mut devices = KnownDevices::new().unwrap();
        devices.remember(b"a", NOW);
        let day = |days: u64| NOW.plus(Duration::from_secs(days * 24 * 3600));
        assert!(devices.contains(b"a", day(29)) && !devices.contains(b"b", NOW));
        assert!(!devices.contains(b"a", day(30)));
        devices.remember(b"a", day(20));
        assert!(devices.contains(b"a", day(49)));
    }

    #[test]
    fn eleventh_device_displaces_the_one_used_longest_ago() {
        let mut devices = KnownDevices::new().unwrap();
        for number in 0..10_u8 {
            devices.remember(&[number], NOW.plus(Duration::from_secs(number.into())));
        }
        let later = NOW.plus(Duration::from_secs(60));
        devices.remember(&[0], later);
        devices.remember(&[10], later);
        assert!(devices.contains(&[0], later) && devices.contains(&[10], later));
        assert!(!devices.contains(&[1], later) && devices.contains(&[2], later));
    }

    #[test]
    fn stored_form_round_trips_and_other_bytes_are_refused() {
        let mut devices = KnownDevices::new().unwrap();
        devices.remember(b"a", NOW);
        devices.remember(b"b", NOW);
        let bytes = devices.to_bytes();
        assert_eq!(KnownDevices::from_bytes(&bytes), Some(devices));
        for length in [0, 15, 17, bytes.len() - 1] {
            assert_eq!(KnownDevices::from_bytes(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn same_address_has_another_digest_in_another_record() {
        let [one, other] = [(); 2].map(|()| {
            let mut devices = KnownDevices::new().unwrap();
            devices.remember(b"a", NOW);
            devices.to_bytes().split_off(KEY_BYTES)
        });
        assert_ne!(one, other);
    }
}
