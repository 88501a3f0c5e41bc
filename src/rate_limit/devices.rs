//! Known devices: pairs of name and address with an earlier successful login.
//!
//! The store keeps them. It is read only for attempts that would be refused or delayed, once in
//! five seconds for each device, and written at the first login of a device in a day, by a task of
//! its own: no login waits for this write.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::keys::{self, Origin};
use crate::domain::{KnownDevices, RateLimitKey, Timestamp};
use crate::store::{BoundedMap, RateLimitRecords, Result, StoreError};

/// Time after which a login of a known device is recorded again.
const RECORD_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Time for which a device that the store does not have counts as unknown without another reading,
/// so that a flood of refused attempts does not become a flood of reads.
const ABSENCE_TTL: Duration = Duration::from_secs(5);
/// Maximum number of devices that wait to be written. If the store is slower, or fails, a device is
/// recorded at a later login.
const MAX_PENDING: u32 = 256;
/// Maximum time for which a stopping server waits for them.
const MAX_FINISH_WAIT: Duration = Duration::from_secs(2);

/// Known devices of all names. Clones share all state.
#[derive(Clone)]
pub(super) struct Devices(Arc<DevicesState>);

struct DevicesState {
    records: Arc<dyn RateLimitRecords>,
    /// A permit for each device that waits to be written.
    pending: Arc<Semaphore>,
    /// Held while a record is read and replaced, so that no device of the same name is lost.
    replacing: Mutex<()>,
    /// Devices that this process has recorded or is about to, with the time of the login.
    recorded: BoundedMap<Timestamp>,
    /// Devices that the store did not have, with the time at which it was read.
    absent: BoundedMap<Timestamp>,
    /// Names whose devices were forgotten, with the time: `recorded` has earlier logins.
    forgotten: BoundedMap<Timestamp>,
}

impl Devices {
    pub(super) fn new(records: Arc<dyn RateLimitRecords>) -> Self {
        Self(Arc::new(DevicesState {
            records,
            pending: Arc::new(Semaphore::new(MAX_PENDING as usize)),
            replacing: Mutex::default(),
            recorded: BoundedMap::new(),
            absent: BoundedMap::new(),
            forgotten: BoundedMap::new(),
        }))
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
        let recorded = self.recorded_at(name, origin);
        if recorded.is_some_and(|at| now < at.plus(KnownDevices::TTL)) {
            return true;
        }
        let absent = self.0.absent.get(&origin.device);
        if absent.is_some_and(|at| at <= now && now < at.plus(ABSENCE_TTL)) {
            return false;
        }
        let devices = self.find(name).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot read the known devices of a user: they count as unknown");
            None
        });
        let address = keys::device_address(address);
        let is_known = devices.is_some_and(|devices| devices.contains(&address, now));
        if !is_known {
            self.0.absent.update(&origin.device, now, |at| *at, |at| *at = now);
        }
        is_known
    }

    /// Forgets the devices of `name` in the memory of this process. Those in the store are known
    /// as long as they are there.
    pub(super) fn forget(&self, name: RateLimitKey, now: Timestamp) {
        self.0.forgotten.update(&name, now, |at| *at, |at| *at = now);
    }

    /// Returns the time of the last login that this process has recorded for a device, if its name
    /// was not forgotten since.
    fn recorded_at(&self, name: RateLimitKey, origin: Origin) -> Option<Timestamp> {
        let forgotten = self.0.forgotten.get(&name);
        let recorded = self.0.recorded.get(&origin.device);
        recorded.filter(|at| forgotten.is_none_or(|forgotten| forgotten < *at))
    }

    /// Records a successful login of `name` from `address`: at once in memory, and soon in the
    /// store. If the store fails, the next login is recorded.
    pub(super) fn remember(
        &self,
        name: RateLimitKey,
        address: IpAddr,
        origin: Origin,
        now: Timestamp,
    ) {
        self.0.absent.remove(&origin.device);
        let recorded = self.recorded_at(name, origin);
        if recorded.is_some_and(|at| at <= now && now < at.plus(RECORD_INTERVAL)) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.0.pending).try_acquire_owned() else { return };
        self.0.recorded.update(&origin.device, now, |at| *at, |at| *at = now);
        let devices = self.clone();
        tokio::spawn(async move {
            if let Err(error) = devices.record(name, address, now).await {
                devices.0.recorded.remove(&origin.device);
                tracing::debug!(%error, "cannot record a known device of a user");
            }
            drop(permit);
        });
    }

    /// Waits until the devices are in the store, at most two seconds.
    pub(super) async fn finish(&self) {
        let _ = timeout(MAX_FINISH_WAIT, self.0.pending.acquire_many(MAX_PENDING)).await;
    }

    async fn record(&self, name: RateLimitKey, address: IpAddr, now: Timestamp) -> Result<()> {
        let _replacing = self.0.replacing.lock().await;
        let mut devices = match self.find(name).await? {
            Some(devices) => devices,
            None => KnownDevices::new().map_err(StoreError::unavailable)?,
        };
        devices.remember(&keys::device_address(address), now);
        self.0.records.put_devices(&name, &devices.to_bytes(), now).await
    }

    async fn find(&self, name: RateLimitKey) -> Result<Option<KnownDevices>> {
        let bytes = self.0.records.find_devices(&name).await?;
        Ok(bytes.and_then(|bytes| KnownDevices::from_bytes(&bytes)))
    }
}
