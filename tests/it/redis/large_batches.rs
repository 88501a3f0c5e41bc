//! Revocations of more sessions than one batch of invalidations contains.

use mongodb::bson::{Document, doc};
use sentinel::settings::{Settings, Sources};
use sentinel::store::connect::connect;
use sentinel::store::{OpenMode, SessionFilter};

use crate::helpers::mongod;
use crate::helpers::redis::Redis;
use crate::store_contract::samples::{stored_client, stored_session};

/// One command ends many sessions and marks all of them alike. No server runs that could deliver
/// the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_invalidations_of_mass_revocation_are_delivered() {
    let (target, redis) = (mongod::replica_set().await, Redis::start());
    let mut overrides = target.overrides();
    overrides.push(("redis.url".to_owned(), redis.url.clone()));
    let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
    let stores = connect(&settings, OpenMode::Create).await.unwrap();
    let app = stored_client(&stores).await;
    for _ in 0..501 {
        stored_session(&stores, None, &app).await;
    }
    let filter = SessionFilter { client: Some(app.id.clone()), ..SessionFilter::default() };
    assert_eq!(stores.sessions.delete_all(&filter).await.unwrap().value, 501);
    let sessions = target.database().await.collection::<Document>("sentinel_sessions");
    let untold = doc! { "lost": { "$exists": true } };
    assert_eq!(sessions.count_documents(untold).await.unwrap(), 0);
}
