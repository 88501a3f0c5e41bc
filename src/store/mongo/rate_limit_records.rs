//! [`RateLimitRecords`] for MongoDB: one small collection, whose TTL index deletes what has ended.
//! The `_id` begins with the kind of the record.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, DateTime, Document, RawDocument, RawDocumentBuf, doc};
use serde::Deserialize;

use super::documents::{bytes, read, to_binary, to_date, to_timestamp};
use super::{MongoStore, duplicate_positions, prefix_condition, to_raw};
use crate::domain::{KnownDevices, RateLimitKey, Timestamp};
use crate::store::rate_limit_records::{ORDER_TTL, rate_limit_key};
use crate::store::{
    RateLimitOrder, RateLimitRecords, Result, SpentBudget, StoreError, StoredOrder,
};

const DEVICES: &str = "known devices";
const BUDGET: &str = "spent budget";
const BUDGET_PREFIX: &str = "budget:";
const ORDER: &str = "order about budgets";
const ORDER_PREFIX: &str = "order:";
const LIST: &str = "list";
const CLEAR: &str = "clear";
/// Maximum number of orders that are read at a time.
const MAX_ORDERS: i64 = 10_000;

#[async_trait]
impl RateLimitRecords for MongoStore {
    async fn find_devices(&self, name: &RateLimitKey) -> Result<Option<Vec<u8>>> {
        let found = self.call(self.rate_limits.find_one(devices_id(name))).await?;
        let Some(raw) = found else { return Ok(None) };
        let devices = raw.get_binary("devices").map_err(|e| StoreError::corrupt(DEVICES, e))?;
        Ok(Some(devices.bytes.to_vec()))
    }

    async fn put_devices(&self, name: &RateLimitKey, devices: &[u8], now: Timestamp) -> Result<()> {
        let expires_at = to_date(now.plus(KnownDevices::TTL));
        let record = doc! { "devices": to_binary(devices), "expires_at": expires_at };
        let write = self.rate_limits.update_one(devices_id(name), doc! { "$set": record });
        self.call(write.upsert(true)).await.map(drop)
    }

    async fn delete_devices(&self, name: &RateLimitKey) -> Result<()> {
        self.call(self.rate_limits.delete_one(devices_id(name))).await.map(drop)
    }

    async fn put_spent_budgets(&self, budgets: &[SpentBudget], now: Timestamp) -> Result<()> {
        let ids: Vec<_> = budgets.iter().map(|budget| budget_id(&budget.key)).collect();
        let mut ended = doc! { "_id": prefix_condition(BUDGET_PREFIX) };
        ended.insert("expires_at", doc! { "$lte": to_date(now) });
        let former = doc! { "$or": [{ "_id": { "$in": ids } }, ended] };
        self.call(self.rate_limits.delete_many(former)).await?;
        let record = |budget: &SpentBudget| {
            let record = doc! {
                "_id": budget_id(&budget.key),
                "kind": budget.key.kind().as_str(),
                "digest": to_binary(budget.key.as_bytes()),
                "guessed": &budget.guessed,
                "subject": budget.subject.as_deref(),
                "expires_at": to_date(budget.until),
            };
            to_raw(&record, BUDGET)
        };
        let records = budgets.iter().map(record).collect::<Result<Vec<RawDocumentBuf>>>()?;
        if records.is_empty() {
            return Ok(());
        }
        let insert = self.rate_limits.insert_many(&records).ordered(false);
        match self.with_timeout(insert).await? {
            // A duplicate was added by another server in the meantime.
            Err(error) if duplicate_positions(&error).is_none() => {
                Err(StoreError::unavailable(error))
            }
            _ => Ok(()),
        }
    }

    async fn list_spent_budgets(&self, now: Timestamp, limit: u32) -> Result<Vec<SpentBudget>> {
        let mut spent = doc! { "_id": prefix_condition(BUDGET_PREFIX) };
        spent.insert("expires_at", doc! { "$gt": to_date(now) });
        let find = self.rate_limits.find(spent).sort(doc! { "expires_at": -1, "_id": 1 });
        let find = find.limit(limit.into());
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        found.iter().map(|raw| spent_budget(raw)).collect()
    }

    async fn add_orders(&self, orders: &[RateLimitOrder], now: Timestamp) -> Result<()> {
        let expires_at = to_date(now.plus(ORDER_TTL));
        let record = |order: &RateLimitOrder| {
            let (action, key) = match order {
                RateLimitOrder::List => (LIST, None),
                RateLimitOrder::Clear(key) => (CLEAR, key.as_ref()),
            };
            let record = doc! {
                "_id": format!("{ORDER_PREFIX}{}", ObjectId::new()),
                "action": action,
                "kind": key.map(|key| key.kind().as_str()),
                "digest": key.map(|key| to_binary(key.as_bytes())),
                "expires_at": expires_at,
            };
            to_raw(&record, ORDER)
        };
        let records = orders.iter().map(record).collect::<Result<Vec<RawDocumentBuf>>>()?;
        if records.is_empty() {
            return Ok(());
        }
        self.call(self.rate_limits.insert_many(&records)).await?;
        let spent = if orders.contains(&RateLimitOrder::Clear(None)) {
            prefix_condition(BUDGET_PREFIX)
        } else {
            let key = |order: &RateLimitOrder| match order {
                RateLimitOrder::Clear(Some(key)) => Some(budget_id(key)),
                _ => None,
            };
            doc! { "$in": orders.iter().filter_map(key).collect::<Vec<_>>() }
        };
        self.call(self.rate_limits.delete_many(doc! { "_id": spent })).await.map(drop)
    }

    async fn list_orders(&self) -> Result<Vec<StoredOrder>> {
        let all = doc! { "_id": prefix_condition(ORDER_PREFIX) };
        let find = self.rate_limits.find(all).limit(MAX_ORDERS);
        let found: Vec<RawDocumentBuf> =
            self.call(async { find.await?.try_collect().await }).await?;
        found.iter().map(|raw| stored_order(raw)).collect()
    }
}

fn devices_id(name: &RateLimitKey) -> Document {
    doc! { "_id": format!("devices:{}", hex::encode(name.as_bytes())) }
}

fn budget_id(key: &RateLimitKey) -> String {
    format!("{BUDGET_PREFIX}{}:{}", key.kind().as_str(), hex::encode(key.as_bytes()))
}

#[derive(Deserialize)]
struct SpentBudgetDocument {
    kind: String,
    digest: Binary,
    guessed: String,
    subject: Option<String>,
    expires_at: DateTime,
}

fn spent_budget(raw: &RawDocument) -> Result<SpentBudget> {
    let document: SpentBudgetDocument = read(raw, BUDGET)?;
    Ok(SpentBudget {
        key: rate_limit_key(&document.kind, bytes(document.digest, BUDGET)?, BUDGET)?,
        guessed: document.guessed,
        subject: document.subject,
        until: to_timestamp(document.expires_at),
    })
}

#[derive(Deserialize)]
struct OrderDocument {
    #[serde(rename = "_id")]
    id: String,
    action: String,
    kind: Option<String>,
    digest: Option<Binary>,
}

fn stored_order(raw: &RawDocument) -> Result<StoredOrder> {
    let document: OrderDocument = read(raw, ORDER)?;
    let key = match (document.kind, document.digest) {
        (Some(kind), Some(digest)) => Some(rate_limit_key(&kind, bytes(digest, ORDER)?, ORDER)?),
        _ => None,
    };
    let order =
        if document.action == LIST { RateLimitOrder::List } else { RateLimitOrder::Clear(key) };
    Ok(StoredOrder { id: document.id, order })
}
