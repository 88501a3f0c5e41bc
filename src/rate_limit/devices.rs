//! Known devices: pairs of name and address with an earlier successful login.
//!
//! The store keeps them. It is read only for attempts that would be refused or delayed, and written
//! at the first login of a device in a day, so ordinary logins cost nothing more.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{self, Origin};
use crate::domain::{KnownDevices, RateLimitKey, Timestamp};
use crate::store::{BoundedMap, RateLimitRecords, Result};

/// Time after which a login of a known device is recorded again.
const RECORD_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Maximum number of look-ups in a second for one address, so that a flood of refused attempts is
/// not passed on to the store.
const MAX_LOOKUPS: u32 = 20;

/// Known devices of all names.
pub(super) struct Devices {
    records: Arc<dyn RateLimitRecords>,
    /// Devices that this process has recorded, with the time of the record.
    recorded: BoundedMap<Timestamp>,
    /// Number of look-ups of each address, with the second in which they were made.
    lookups: BoundedMap<(i64, u32)>,
}

impl Devices {
    pub(super) fn new(records: Arc<dyn RateLimitRecords>) -> Self {
        Self { records, recorded: BoundedMap::new(), lookups: BoundedMap::new() }
    }

    /// Returns whether `name` has logged in from `address` recently. If the store fails, the device
    /// counts as unknown.
    pub(super) async fn contains(
        &self,
        name: RateLimitKey,
        address: IpAddr,
        origin: Origin,
        now: Timestamp,
    ) -> bool {
        let recorded = self.recorded.get(&origin.device);
        if recorded.is_some_and(|at| now < at.plus(KnownDevices::TTL)) {
            return true;
        }
        if !self.may_look_up(origin.address, now) {
            return false;
        }
        let devices = self.find(name).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot read the known devices of a user: they count as unknown");
            None
        });
        let address = keys::device_address(address);
        devices.is_some_and(|devices| devices.contains(&address, now))
    }

    /// Records a successful login of `name` from `address`. If the store fails, the next login is
    /// recorded.
    pub(super) async fn remember(
        &self,
        name: RateLimitKey,
        address: IpAddr,
        origin: Origin,
        now: Timestamp,
    ) {
        let recorded = self.recorded.get(&origin.device);
        if recorded.is_some_and(|at| at <= now && now < at.plus(RECORD_INTERVAL)) {
            return;
        }
        match self.record(name, address, now).await {
            Ok(()) => self.recorded.update(&origin.device, now, |at| *at, |at| *at = now),
            Err(error) => tracing::debug!(%error, "cannot record a known device of a user"),
        }
    }

    async fn record(&self, name: RateLimitKey, address: IpAddr, now: Timestamp) -> Result<()> {
        let mut devices = self.find(name).await?.unwrap_or_default();
        devices.remember(&keys::device_address(address), now);
        self.records.put_devices(&name, &devices.to_bytes(), now).await
    }

    async fn find(&self, name: RateLimitKey) -> Result<Option<KnownDevices>> {
        let bytes = self.records.find_devices(&name).await?;
        Ok(bytes.and_then(|bytes| KnownDevices::from_bytes(&bytes)))
    }

    fn may_look_up(&self, address: RateLimitKey, now: Timestamp) -> bool {
        let second = now.as_millis().div_euclid(1000);
        self.lookups.update(
            &address,
            (second, 0),
            |(second, _)| *second,
            |(at, count)| {
                if *at != second {
                    (*at, *count) = (second, 0);
                }
                *count = count.saturating_add(1);
                *count <= MAX_LOOKUPS
            },
        )
    }
}
