//! Replica set of three members with two servers under load; members are killed, suspended and lag.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::load::Load;
use crate::helpers::Servers;
use crate::helpers::mongod::{Mongod, TestDatabase};

const SET: [&str; 2] = ["--replSet", "rs0"];

/// Replica set of three members in which an election takes about a second.
struct ReplicaSet {
    members: Vec<Mongod>,
    target: TestDatabase,
}

impl ReplicaSet {
    async fn start() -> Self {
        let members: Vec<Mongod> = (0..3).map(|_| Mongod::start(&SET)).collect();
        let configured: Vec<Document> = members
            .iter()
            .zip(0..)
            .map(|(member, id)| doc! { "_id": id, "host": member.host() })
            .collect();
        let set = doc! { "_id": "rs0", "members": configured, "settings": {
            "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200,
            // As docs/databases.md recommends: otherwise a member that lags may hold up another.
            "chainingAllowed": false,
        } };
        members[0].admin().await.run_command(doc! { "replSetInitiate": set }).await.unwrap();
        let hosts: Vec<String> = members.iter().map(Mongod::host).collect();
        let target = TestDatabase::on(&format!("mongodb://{}/?replicaSet=rs0", hosts.join(",")));
        let set = Self { members, target };
        set.wait_for_primary(None).await;
        set
    }

    /// Waits for a primary other than `former` and returns its index.
    async fn wait_for_primary(&self, former: Option<usize>) -> usize {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            for (at, member) in self.members.iter().enumerate() {
                if Some(at) == former {
                    continue;
                }
                let hello = doc! { "hello": 1 };
                let admin = member.admin().await;
                let asking = tokio::time::timeout(Duration::from_secs(1), admin.run_command(hello));
                if let Ok(Ok(hello)) = asking.await
                    && hello.get_bool("isWritablePrimary").unwrap_or(false)
                {
                    return at;
                }
            }
            assert!(Instant::now() < deadline, "there is no primary");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn primary(&self) -> usize {
        self.wait_for_primary(None).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn issued_tokens_survive_failure_of_replica_set_members() {
    let mut set = ReplicaSet::start().await;
    let servers = Servers::start(2, &set.target.overrides()).await;
    let load = Load::start(&servers.peers).await;

    let primary = set.primary().await;
    set.members[primary].kill();
    let next = async { assert_ne!(set.wait_for_primary(Some(primary)).await, primary) };
    let row = load.during("MongoDB", "primary killed, another one elected", next).await;
    row.print();
    set.members[primary].restart(&SET);

    let primary = set.primary().await;
    let secondary = (primary + 1) % 3;
    let frozen = async {
        set.members[secondary].suspend();
        tokio::time::sleep(Duration::from_secs(1)).await;
        set.members[secondary].resume();
    };
    load.during("MongoDB", "a secondary frozen", frozen).await.print();

    // When it resumes, it still considers itself primary.
    let frozen = async {
        set.members[primary].suspend();
        set.wait_for_primary(Some(primary)).await;
        set.members[primary].resume();
    };
    load.during("MongoDB", "primary frozen until another one was elected", frozen).await.print();

    let primary = set.primary().await;
    let others = [(primary + 1) % 3, (primary + 2) % 3];
    for other in others {
        set.members[other].kill();
    }
    let down = servers.peers[0].clone();
    let outage = async {
        let deadline = Instant::now() + Duration::from_secs(40);
        while down.ready().await.status != 503 {
            assert!(Instant::now() < deadline, "a server without a primary is ready");
        }
        // A login waits longer for a primary than readiness, and succeeds in a shorter outage.
        assert_eq!(down.login().await.status, 503);
        for other in others {
            set.members[other].restart(&SET);
        }
    };
    let row = load.during("MongoDB", "two of three killed, until readiness was down", outage).await;
    row.print();
    assert!(row.unready > 0 && row.unavailable > row.unready);
    load.finish().await;
}

/// `mongo.read_preference` applies to lists only: token lookups do not read a lagging secondary.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn lagging_secondary_is_not_used_for_token_lookups() {
    let set = ReplicaSet::start().await;
    let mut settings = set.target.overrides();
    settings.push(("mongo.read_preference".to_owned(), "secondary".to_owned()));
    let servers = Servers::start(2, &settings).await;
    let load = Load::start(&servers.peers).await;
    let lagging = (set.primary().await + 1) % 3;
    let admin = set.members[lagging].admin().await;
    let point = |mode: &str| doc! { "configureFailPoint": "rsSyncApplyStop", "mode": mode };
    let one = &servers.peers[0];
    let tokens = [one.login().await.access_token(), one.login().await.access_token()];
    let stopped = async {
        admin.run_command(point("alwaysOn")).await.unwrap();
        for token in &tokens {
            assert!(servers.peers[1].is_active(token).await);
            assert_eq!(one.revoke(token).await.status, 200);
            for peer in &servers.peers {
                assert!(!peer.is_active(token).await);
                assert_eq!(peer.verify(token).await.status, 401);
            }
        }
        // Reading the lagging member directly shows stale sessions.
        let found =
            admin.client().database(&set.target.dbname).collection::<Document>("sentinel_sessions");
        let stale = found.count_documents(doc! { "access.0": { "$exists": true } }).await.unwrap();
        let now = set.target.database().await.collection::<Document>("sentinel_sessions");
        let sessions = now.count_documents(doc! { "access.0": { "$exists": true } }).await.unwrap();
        println!("{stale} sessions with tokens on the one that lags, and {sessions} there are");
        admin.run_command(point("off")).await.unwrap();
    };
    load.during("MongoDB", "a secondary stops applying writes", stopped).await.print();

    // With both secondaries stopped, no majority confirms a write.
    let both: Vec<_> = (0..3).filter(|at| *at != (lagging + 2) % 3).collect();
    let mut admins = Vec::new();
    for at in both {
        admins.push(set.members[at].admin().await);
    }
    let point = |mode: &str| doc! { "configureFailPoint": "stopReplProducer", "mode": mode };
    let stopped = async {
        for admin in &admins {
            admin.run_command(point("alwaysOn")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for admin in &admins {
            admin.run_command(point("off")).await.unwrap();
        }
    };
    load.during("MongoDB", "no secondary copies from the primary", stopped).await.print();
    load.finish().await;
}
