//! Merge of two stores in key order.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::atomic::{self, AtomicBool};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::{Result, Stores};
use super::CopyCounts;
use super::kinds::{PAGE, Record};
use crate::domain::Timestamp;

/// Maximum number of concurrent writes to the target store: as many as the embedded store puts into
/// one commit.
const MAX_CONCURRENT_WRITES: usize = 256;

/// Options of one pass of a copy over the source store and the target store.
#[derive(Clone, Copy)]
pub(super) struct SyncPass<'a> {
    pub(super) source: &'a Stores,
    /// Target store of the copy, or `None` if that store does not exist yet.
    pub(super) target: Option<&'a Stores>,
    /// Whether the pass deletes records from the target store that the source store lacks.
    pub(super) deletes: bool,
    /// Whether the pass writes records of the source store that the target store lacks or has with
    /// another content.
    pub(super) upserts: bool,
    /// Whether the pass changes the target store; if not, it only counts the differences.
    pub(super) writes: bool,
    /// Time at which a record must still be alive to be compared and copied.
    pub(super) now: Timestamp,
    pub(super) progress: &'a dyn Fn(&'static str, u64),
    /// Flag that ends the pass before the next record.
    pub(super) stop: &'a AtomicBool,
}

/// Makes the records of one kind in the target store equal to those in the source store. Returns
/// the numbers of records that were read, written and removed.
pub(super) async fn sync_kind<R: Record>(pass: &SyncPass<'_>) -> Result<CopyCounts> {
    let mut counts = CopyCounts::default();
    let mut source = RecordReader::<R>::new(Some(pass.source), pass.now);
    let mut target = RecordReader::<R>::new(pass.target, pass.now);
    let (mut to_put, mut to_remove) = (Vec::new(), Vec::new());
    while !pass.stop.load(atomic::Ordering::Relaxed) {
        source.fill().await?;
        target.fill().await?;
        let order = match (source.page.front(), target.page.front()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(record), Some(target_record)) => record.key().cmp(&target_record.key()),
        };
        let record = if order.is_le() { source.page.pop_front() } else { None };
        let target_record = if order.is_ge() { target.page.pop_front() } else { None };
        counts.read += u64::from(record.is_some());
        // Another record with the same key, such as a user with the same name, is deleted, not
        // overwritten.
        let gone = target_record.as_ref().filter(|target_record| {
            pass.deletes
                && R::REMOVED_WITH_SOURCE
                && record.as_ref().is_none_or(|record| !record.is_same_record(target_record))
        });
        counts.removed += u64::from(gone.is_some());
        let is_gone = gone.is_some();
        if pass.upserts
            && record != target_record
            && let Some(record) = record
        {
            counts.written += 1;
            to_put.push(record);
        }
        to_remove.extend(target_record.filter(|_| is_gone));
        if to_put.len() + to_remove.len() >= PAGE as usize {
            write(pass, &mut to_put, &mut to_remove).await?;
        }
        if counts.read.is_multiple_of(u64::from(PAGE)) {
            (pass.progress)(R::NAME, counts.read);
        }
    }
    write(pass, &mut to_put, &mut to_remove).await?;
    (pass.progress)(R::NAME, counts.read);
    Ok(counts)
}

async fn write<R: Record>(
    pass: &SyncPass<'_>,
    to_put: &mut Vec<R>,
    to_remove: &mut Vec<R>,
) -> Result<()> {
    let (puts, removals) = (std::mem::take(to_put), std::mem::take(to_remove));
    let Some(target) = pass.target.filter(|_| pass.writes) else { return Ok(()) };
    let removing = removals.iter().map(|record| record.remove(target));
    stream::iter(removing).buffer_unordered(MAX_CONCURRENT_WRITES).try_collect::<()>().await?;
    let putting = puts.iter().map(|record| record.put(target));
    stream::iter(putting).buffer_unordered(MAX_CONCURRENT_WRITES).try_collect::<()>().await
}

/// Reads the records of one kind from a store, page by page.
struct RecordReader<'a, R> {
    stores: Option<&'a Stores>,
    now: Timestamp,
    page: VecDeque<R>,
    last: Option<R>,
}

impl<'a, R: Record> RecordReader<'a, R> {
    fn new(stores: Option<&'a Stores>, now: Timestamp) -> Self {
        Self { stores, now, page: VecDeque::new(), last: None }
    }

    /// Reads the next page of records from the store, if all records of the current page are taken.
    async fn fill(&mut self) -> Result<()> {
        while self.page.is_empty()
            && let Some(stores) = self.stores
        {
            let mut read = R::page(stores, self.last.as_ref()).await?;
            if read.len() < PAGE as usize {
                self.stores = None;
            }
            self.last = read.last().cloned();
            read.retain(|record| record.is_compared(self.now));
            self.page = read.into();
        }
        Ok(())
    }
}
