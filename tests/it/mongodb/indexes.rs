//! Every look-up uses an index, according to MongoDB's own profiler.

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use sentinel::domain::{Client, PasswordHash, Session, Timestamp, User};
use sentinel::store::mongo::MongoStore;
use sentinel::store::{Page, SessionFilter, Stores, Want};

use crate::helpers::START;
use crate::helpers::mongod::{self, TestDatabase};
use crate::store_contract::samples::{
    LIFETIMES, NextVersion, session, stored_client, stored_session, stored_user,
};

/// Profile of one command.
#[derive(Debug)]
struct CommandProfile {
    collection: String,
    plan: String,
    examined: i64,
    /// Number of documents that were returned, matched or deleted.
    used: i64,
}

struct World {
    target: TestDatabase,
    stores: Stores,
    users: Vec<User>,
    clients: Vec<Client>,
    sessions: Vec<Session>,
}

impl World {
    /// Stores enough documents for a scan to show: 20 users, 4 clients, and a session of each pair.
    async fn new() -> Self {
        let target = mongod::standalone().await;
        let stores = MongoStore::open(&target.settings().mongo).await.unwrap().into_stores();
        let (mut users, mut clients, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..4 {
            clients.push(stored_client(&stores).await);
        }
        for number in 0..20 {
            let user = stored_user(&stores, &format!("user-{number:02}")).await;
            for client in &clients {
                sessions.push(stored_session(&stores, Some(&user), client).await);
            }
            users.push(user);
        }
        Self { target, stores, users, clients, sessions }
    }

    /// Runs `work` and returns the profile of each of its commands.
    async fn watch<T>(&self, work: impl Future<Output = T>) -> Vec<CommandProfile> {
        let database = self.target.database().await;
        database.run_command(doc! { "profile": 2 }).await.unwrap();
        work.await;
        database.run_command(doc! { "profile": 0 }).await.unwrap();
        let profile = database.collection::<Document>("system.profile");
        let entries: Vec<Document> = profile
            .find(doc! { "appName": "sentinel", "planSummary": { "$exists": true } })
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        profile.drop().await.unwrap();
        entries.iter().map(read).collect()
    }

    /// Asserts that `work` scans no collection and examines no document that it does not use.
    async fn assert_direct<T>(&self, what: &str, work: impl Future<Output = T>) {
        let seen = self.watch(work).await;
        assert!(!seen.is_empty(), "{what} did nothing");
        for seen in &seen {
            assert!(!seen.plan.contains("COLLSCAN"), "{what}: {seen:?}");
            assert!(seen.examined <= seen.used, "{what}: {seen:?}");
        }
    }
}

fn read(entry: &Document) -> CommandProfile {
    let number = |field: &str| match entry.get(field) {
        Some(number) => number.as_i64().or(number.as_i32().map(i64::from)).unwrap(),
        None => 0,
    };
    let namespace = entry.get_str("ns").unwrap();
    CommandProfile {
        collection: namespace.split_once('.').unwrap().1.to_owned(),
        plan: entry.get_str("planSummary").unwrap().to_owned(),
        examined: number("docsExamined"),
        used: ["nreturned", "nMatched", "ndeleted"].into_iter().map(number).max().unwrap(),
    }
}

#[tokio::test]
async fn look_up_examines_only_wanted_document() {
    let world = World::new().await;
    let World { stores, users, clients, sessions, .. } = &world;
    let (user, client, one) = (&users[7], &clients[2], &sessions[30]);
    world.assert_direct("user by id", stores.users.find(user.id)).await;
    world.assert_direct("user by name", stores.users.find_by_name(&user.username)).await;
    world.assert_direct("nobody", stores.users.find_by_name("nobody")).await;
    world.assert_direct("client by id", stores.clients.find(&client.id)).await;
    world.assert_direct("session by id", stores.sessions.find(one.id)).await;
    let want = Want { access: None, caller: Some(client) };
    world.assert_direct("session for a caller", stores.sessions.look_up(one.id, want)).await;
    let none = session(None, client).id;
    world.assert_direct("no session", stores.sessions.find(none)).await;
    world.assert_direct("login", stores.sessions.insert(&session(Some(user), client))).await;
    world.assert_direct("refresh", stores.sessions.replace(&one.next(), false)).await;
    world.assert_direct("settle", stores.sessions.confirm_durable(one.id, one.version + 1)).await;
    world.assert_direct("end", stores.sessions.delete(one.id)).await;
    let new = PasswordHash::own("$argon2id$new".to_owned());
    let upgrade = stores.users.upgrade_password(user.id, &user.password, &new);
    world.assert_direct("upgrade", upgrade).await;
}

#[tokio::test]
async fn page_of_list_examines_only_its_documents() {
    let world = World::new().await;
    let World { stores, users, clients, sessions, .. } = &world;
    let after = |key: String| Page { cursor: Some(key), limit: 3 };
    let middle = after(users[9].username.clone());
    for page in [Page::first(3), middle] {
        world.assert_direct("users", stores.listing.list_users("", &page)).await;
    }
    world.assert_direct("users found", stores.listing.list_users("user-1", &Page::first(3))).await;
    for page in [Page::first(3), after(clients[1].id.to_string())] {
        world.assert_direct("clients", stores.listing.list_clients("", &page)).await;
    }
    let everybody = SessionFilter::default();
    let of_user = SessionFilter { user: Some(users[3].id), client: None, alive_at: None };
    let of_client =
        SessionFilter { user: None, client: Some(clients[1].id.clone()), alive_at: None };
    for filter in [everybody, of_user, of_client] {
        for page in [Page::first(3), after(sessions[40].id.to_string())] {
            let list = stores.listing.list_sessions(&filter, &page);
            world.assert_direct(&format!("sessions {filter:?}"), list).await;
        }
    }
    let counts = world.watch(stores.listing.count_sessions(START, 3)).await;
    assert!(counts[0].plan.contains("expires_at") && counts[0].examined <= 3, "{counts:?}");
    let found = world.watch(stores.listing.list_clients("an", &Page::first(3))).await;
    assert!(!found[0].plan.contains("COLLSCAN"), "{found:?}");
    // A user has few sessions, so the filter by client examines those.
    let both = SessionFilter {
        user: Some(users[3].id),
        client: Some(clients[1].id.clone()),
        alive_at: None,
    };
    let seen = world.watch(stores.listing.list_sessions(&both, &Page::first(3))).await;
    assert_eq!(seen.len(), 1);
    assert!(seen[0].plan.contains("user_id") && seen[0].examined <= 4, "{seen:?}");
}

#[tokio::test]
async fn revocation_and_purge_examine_only_affected_documents() {
    let world = World::new().await;
    let World { stores, users, clients, .. } = &world;
    let changed = User { generation: 1, ..users[3].next() };
    world.assert_direct("new generation", stores.users.update(&changed)).await;
    let renamed = User { username: "renamed".to_owned(), ..users[4].next() };
    world.assert_direct("new name", stores.users.update(&renamed)).await;
    let disabled = Client { generation: 1, enabled: false, ..clients[0].next() };
    world.assert_direct("disabling of a client", stores.clients.update(&disabled)).await;
    // The client has many sessions, and none of them is examined.
    let other_name = Client { name: "other".to_owned(), ..clients[3].next() };
    world.assert_direct("update of a client", stores.clients.update(&other_name)).await;
    world.assert_direct("deletion of a user", stores.users.delete(users[5].id, None)).await;
    world.assert_direct("deletion of a client", stores.clients.delete(&clients[1].id, None)).await;
    let of_client =
        SessionFilter { user: None, client: Some(clients[2].id.clone()), alive_at: None };
    world.assert_direct("end of all", stores.sessions.delete_all(&of_client)).await;
    // A purge also looks for unfinished cascades; none exists.
    world.assert_direct("nothing to purge", stores.sessions.purge(START, 5)).await;
    let over = Timestamp::from_millis(START.plus(LIFETIMES.session).as_millis());
    world.assert_direct("purge", stores.sessions.purge(over, 5)).await;
    let seen = world.watch(stores.sessions.purge(over, 5)).await;
    let marks = seen.iter().filter(|seen| seen.plan.contains("ending"));
    assert_eq!(marks.count(), 2, "{seen:?}");
    assert!(seen.iter().any(|seen| seen.collection == "sentinel_sessions" && seen.used == 5));
}
