//! Commits that writes of one process or of two processes share.

use std::fs;
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};

use sentinel::store::{Page, SessionFilter, StoreError};

use super::{Embedded, open};
use crate::helpers::{START, all};
use crate::store_contract::samples::user;

/// Counts the commits in a write-ahead log: the frames that contain the database size after commit
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>). The log must not have been reset in
/// between, which a reader at its beginning ([`Pin`]) prevents.
fn commits(path: &Path) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let log = fs::read(format!("{}-wal", path.display())).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let (page_size, salt) = (number(8) as usize, &log[16..24]);
    let frames = log[HEADER..].chunks_exact(FRAME_HEADER + page_size);
    let frames = frames.take_while(|frame| frame[8..16] == *salt);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

/// Any number of expired sessions may precede the first live one.
#[tokio::test]
async fn listing_live_sessions_runs_on_a_separate_thread() {
    let store = Embedded::fresh().await;
    let session = store.session();
    assert!(store.stores.sessions.insert(&session).await.unwrap());
    let filter = SessionFilter { alive_at: Some(START), ..SessionFilter::default() };
    let page = Page::first(10);
    let mut list = store.stores.listing.list_sessions(&filter, &page);
    assert!(futures_util::poll!(&mut list).is_pending());
    assert_eq!(list.await.unwrap(), [session]);
}

/// Open read transaction, which prevents a reset of the write-ahead log.
struct Pin(rusqlite::Connection);

impl Pin {
    fn on(store: &Embedded) -> Self {
        let pin = Self(store.raw());
        pin.0.execute_batch("BEGIN; SELECT count(*) FROM sessions").unwrap();
        pin
    }
}

/// Polls every call once, which queues its write, then calls `release` and awaits all calls.
async fn queue_and_release<T>(
    calls: Vec<impl Future<Output = T>>,
    release: impl FnOnce(),
) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        for call in &mut calls {
            assert!(call.as_mut().poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    release();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await);
    }
    answers
}

#[tokio::test]
async fn writes_queued_behind_another_process_share_one_commit() {
    let store = Embedded::fresh().await;
    let _pin = Pin::on(&store);
    let other = store.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = commits(&store.path);
    let sessions: Vec<_> = (0..200).map(|_| store.session()).collect();
    let calls = sessions.iter().map(|session| store.stores.sessions.insert(session)).collect();
    let answers = queue_and_release(calls, || other.execute_batch("COMMIT").unwrap()).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap()));
    assert_eq!(commits(&store.path) - before, 1);
    let list =
        store.stores.listing.list_sessions(&SessionFilter::default(), &Page::first(1000)).await;
    assert_eq!(list.unwrap().len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writes_share_commits() {
    let store = Embedded::fresh().await;
    let _pin = Pin::on(&store);
    let before = commits(&store.path);
    let tasks = (0..64).map(|_| {
        let sessions: Vec<_> = (0..32).map(|_| store.session()).collect();
        let stores = store.stores.clone();
        async move {
            for session in &sessions {
                assert!(stores.sessions.insert(session).await.unwrap());
            }
        }
    });
    all(tasks).await;
    let commits = commits(&store.path) - before;
    println!("2048 writes in {commits} commits");
    assert!((1..=1024).contains(&commits), "2048 writes took {commits} commits");
}

#[tokio::test]
async fn failed_write_does_not_roll_back_others_in_its_batch() {
    let store = Embedded::fresh().await;
    let _pin = Pin::on(&store);
    let other = store.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = commits(&store.path);
    let sessions: Vec<_> = (0..3).map(|_| store.session()).collect();
    // A duplicate session is an error; a duplicate name is a regular result.
    let order = [0, 0, 1, 1, 1, 2];
    let inserts = order.map(|index| {
        let (stores, session) = (store.stores.clone(), sessions[index].clone());
        Box::pin(async move { stores.sessions.insert(&session).await })
            as std::pin::Pin<Box<dyn Future<Output = _>>>
    });
    let users = ["alice", "alice", "bob"].map(|name| {
        let (stores, user) = (store.stores.clone(), user(name));
        Box::pin(async move { stores.users.insert(&user).await })
            as std::pin::Pin<Box<dyn Future<Output = _>>>
    });
    let calls = inserts.into_iter().chain(users).collect();
    let answers = queue_and_release(calls, || other.execute_batch("COMMIT").unwrap()).await;
    assert_eq!(commits(&store.path) - before, 1, "they were not in one batch");
    let failed =
        |answer: &Result<bool, StoreError>| matches!(answer, Err(StoreError::Unavailable(_)));
    for (position, fine) in [true, false, true, false, false, true].into_iter().enumerate() {
        let answer = &answers[position];
        assert!(if fine { matches!(answer, Ok(true)) } else { failed(answer) }, "{position}");
    }
    let names: Vec<_> = answers[6..].iter().map(|answer| *answer.as_ref().unwrap()).collect();
    assert_eq!(names, [true, false, true]);
    for session in &sessions {
        let found = store.stores.sessions.find(session.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(session));
    }
    assert_eq!(store.stores.listing.list_users("", &Page::first(10)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn cancelled_call_stops_neither_its_write_nor_others() {
    let store = Embedded::fresh().await;
    let other = store.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (dropped, kept) = (store.session(), store.session());
    {
        let mut call = Box::pin(store.stores.sessions.insert(&dropped));
        let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context)));
        assert!(polled.await.is_pending());
    }
    let calls = vec![store.stores.sessions.insert(&kept)];
    let answers = queue_and_release(calls, || other.execute_batch("COMMIT").unwrap()).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap()));
    assert!(store.stores.sessions.find(dropped.id).await.unwrap().is_some());
}

#[tokio::test]
async fn lookup_does_not_wait_for_a_writer() {
    let store = Embedded::fresh().await;
    let session = store.session();
    assert!(store.stores.sessions.insert(&session).await.unwrap());
    let other = store.raw();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM sessions").unwrap();
    assert_eq!(store.stores.sessions.find(session.id).await.unwrap().as_ref(), Some(&session));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.stores.sessions.find(session.id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writes_of_two_processes_are_all_kept() {
    let store = Embedded::fresh().await;
    let processes = [store.stores.clone(), open(&store.path)];
    let tasks = (0..32).map(|task| {
        let stores = processes[task % 2].clone();
        let sessions: Vec<_> = (0..25).map(|_| store.session()).collect();
        async move {
            for session in &sessions {
                assert!(stores.sessions.insert(session).await.unwrap());
            }
        }
    });
    all(tasks).await;
    for stores in processes {
        let list =
            stores.listing.list_sessions(&SessionFilter::default(), &Page::first(10_000)).await;
        assert_eq!(list.unwrap().len(), 32 * 25);
    }
}

/// An operator's command must get its turn while the server writes continuously.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn continuous_writer_does_not_starve_another_process() {
    let store = Embedded::fresh().await;
    let cli = open(&store.path);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let busy: Vec<_> = (0..64)
        .map(|_| {
            let (stores, stopped) = (store.stores.clone(), stopped.clone());
            let mut session = store.session();
            tokio::spawn(async move {
                assert!(stores.sessions.insert(&session).await.unwrap());
                while !*stopped.borrow() {
                    session.version += 1;
                    assert!(stores.sessions.replace(&session, false).await.unwrap().value);
                }
            })
        })
        .collect();
    let mut longest = Duration::ZERO;
    for turn in 0..20 {
        let before = Instant::now();
        assert!(cli.users.insert(&user(&format!("user-{turn}"))).await.unwrap());
        longest = longest.max(before.elapsed());
    }
    stop.send(true).unwrap();
    for task in busy {
        task.await.unwrap();
    }
    println!("the longest wait was {longest:?}");
}

#[tokio::test]
async fn shared_read_snapshot_does_not_block_wal_reset() {
    let store = Embedded::fresh().await;
    let log = format!("{}-wal", store.path.display());
    // More than 20,000 pages; SQLite starts a checkpoint after 1,000.
    for _ in 0..40 {
        let sessions: Vec<_> = (0..256).map(|_| store.session()).collect();
        let last = sessions[0].id;
        let inserts = sessions.into_iter().map(|session| {
            let stores = store.stores.clone();
            async move { stores.sessions.insert(&session).await.unwrap() }
        });
        assert!(all(inserts).await.into_iter().all(|inserted| inserted));
        assert!(store.stores.sessions.find(last).await.unwrap().is_some());
    }
    let written = fs::metadata(&log).unwrap().len();
    assert!(written < 32 << 20, "the log has grown to {written} bytes");
}
