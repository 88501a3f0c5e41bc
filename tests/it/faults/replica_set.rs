//! Three members, two servers under load: members are killed, frozen and made to lag.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::load::Load;
use crate::helpers::Servers;
use crate::helpers::mongod::{Mongod, Target};

const SET: [&str; 2] = ["--replSet", "rs0"];

/// A replica set of three, in which an election takes a second.
struct Set {
    members: Vec<Mongod>,
    target: Target,
}

impl Set {
    async fn start() -> Self {
        let members: Vec<Mongod> = (0..3).map(|_| Mongod::start(&SET)).collect();
        let configured: Vec<Document> = members
            .iter()
            .zip(0..)
            .map(|(member, id)| doc! { "_id": id, "host": member.host() })
            .collect();
        let set = doc! { "_id": "rs0", "members": configured, "settings": {
            "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200,
        } };
        members[0].admin().await.run_command(doc! { "replSetInitiate": set }).await.unwrap();
        let hosts: Vec<String> = members.iter().map(Mongod::host).collect();
        let target = Target::on(&format!("mongodb://{}/?replicaSet=rs0", hosts.join(",")));
        let set = Self { members, target };
        set.wait_for_primary(None).await;
        set
    }

    /// The member that is the primary, and not the one that was.
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
async fn members_that_are_killed_or_frozen_take_no_answered_token_with_them() {
    let mut set = Set::start().await;
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
        set.members[secondary].freeze();
        tokio::time::sleep(Duration::from_secs(1)).await;
        set.members[secondary].thaw();
    };
    load.during("MongoDB", "a secondary frozen", frozen).await.print();

    // It still takes itself for the primary when it goes on.
    let frozen = async {
        set.members[primary].freeze();
        set.wait_for_primary(Some(primary)).await;
        set.members[primary].thaw();
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
        for other in others {
            set.members[other].restart(&SET);
        }
    };
    let row = load.during("MongoDB", "two of three killed, until readiness was down", outage).await;
    row.print();
    assert!(row.unready > 0 && row.unavailable > row.unready);
    load.finish().await;
}

/// Whatever lists may be read from: a secondary that has not heard of a revocation is not asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_secondary_that_lags_behind_is_not_asked_whether_a_token_is_alive() {
    let set = Set::start().await;
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
            // On a busy machine the two that are left may not be quick enough for the first call.
            loop {
                match one.revoke(token).await.status {
                    200 => break,
                    status => assert_eq!(status, 503),
                }
            }
            for peer in &servers.peers {
                assert!(!peer.is_active(token).await);
                assert_eq!(peer.verify(token).await.status, 401);
            }
        }
        // Which is not so for who asks there.
        let found =
            admin.client().database(&set.target.dbname).collection::<Document>("sentinel_sessions");
        let stale = found.count_documents(doc! { "access.0": { "$exists": true } }).await.unwrap();
        let now = set.target.database().await.collection::<Document>("sentinel_sessions");
        let sessions = now.count_documents(doc! { "access.0": { "$exists": true } }).await.unwrap();
        println!("{stale} sessions with tokens on the one that lags, and {sessions} there are");
        admin.run_command(point("off")).await.unwrap();
    };
    load.during("MongoDB", "a secondary stops applying writes", stopped).await.print();

    // With both of them, no majority has what is written any more.
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
