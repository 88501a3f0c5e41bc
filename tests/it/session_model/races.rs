//! Rules that hold for concurrent calls from two processes, on several threads.

use std::sync::Arc;

use sentinel::domain::Client;
use sentinel::oauth::Error;

use super::world::{Pair, World};
use crate::helpers::all;

fn rounds(world: &World) -> usize {
    world.backend.rounds as usize / 2
}

/// Returns a refresh that can run in another task. It yields `None` if the grant is invalid.
fn refresh(
    world: &World,
    turn: usize,
    token: &str,
) -> impl Future<Output = Option<Pair>> + Send + 'static {
    let (process, client, token) = (world.process(turn), app(world), token.to_owned());
    async move {
        match process.refresh(&client, &token, None).await {
            Ok(pair) => Some(pair),
            Err(Error::InvalidGrant(_)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn revoke(world: &World, turn: usize, token: &str) -> impl Future<Output = ()> + Send + 'static {
    let (process, client, token) = (world.process(turn), app(world), token.to_owned());
    async move { process.revoke(&client, &token).await.unwrap() }
}

fn app(world: &World) -> Client {
    world.clients[0].clone()
}

/// Runs two calls that start at the same time.
async fn run_concurrently<A: Send + 'static, B: Send + 'static>(
    one: impl Future<Output = A> + Send + 'static,
    other: impl Future<Output = B> + Send + 'static,
) -> (A, B) {
    let start = Arc::new(tokio::sync::Barrier::new(2));
    let also = Arc::clone(&start);
    let one = tokio::spawn(async move {
        start.wait().await;
        one.await
    });
    let other = tokio::spawn(async move {
        also.wait().await;
        other.await
    });
    (one.await.unwrap(), other.await.unwrap())
}

async fn assert_all_dead<'a>(world: &World, pairs: impl IntoIterator<Item = &'a Pair>) {
    for pair in pairs {
        assert!(!world.is_active(&pair.access).await, "an access token is alive");
        assert!(!world.is_active(&pair.refresh).await, "a refresh token is alive");
    }
}

pub(super) async fn parallel_refreshes_rotate_once_and_return_one_token_pair(world: &World) {
    for _ in 0..5 {
        let first = world.login().await;
        let before = world.session_of(&first.refresh).await.unwrap().version;
        let calls = (0..50).map(|turn| refresh(world, turn, &first.refresh));
        let pairs: Vec<Pair> = all(calls).await.into_iter().map(Option::unwrap).collect();
        for pair in &pairs {
            assert_eq!(pair, &pairs[0]);
        }
        let after = world.session_of(&first.refresh).await.unwrap();
        assert_eq!(after.version, before + 1);
        assert_eq!(after.access_tokens.len(), 2);
        assert!(world.is_active(&pairs[0].access).await);
        assert!(refresh(world, 0, &pairs[0].refresh).await.is_some());
    }
}

pub(super) async fn revocation_racing_with_refreshes_leaves_no_active_token(world: &World) {
    let mut refreshed = 0;
    for round in 0..rounds(world) {
        let first = world.login().await;
        let second = refresh(world, round, &first.refresh).await.unwrap();
        // Revoking any refresh token of the chain ends the session.
        let revoked = if round % 3 == 0 { &first.refresh } else { &second.refresh };
        let refreshes: Vec<_> = (0..3).map(|turn| refresh(world, turn, &second.refresh)).collect();
        let revocation = revoke(world, round, revoked);
        let (third, ()) = run_concurrently(all(refreshes), revocation).await;
        let third: Vec<Pair> = third.into_iter().flatten().collect();
        refreshed += third.len();
        assert_all_dead(world, [&first, &second].into_iter().chain(&third)).await;
        for pair in &third {
            assert!(refresh(world, round, &pair.refresh).await.is_none());
        }
        assert!(world.session_of(&first.refresh).await.is_none());
    }
    assert!(refreshed > 0, "no refresh ever came first");
}

pub(super) async fn access_token_revocation_survives_concurrent_refresh(world: &World) {
    for round in 0..rounds(world) {
        let first = world.login().await;
        let refreshing = refresh(world, round, &first.refresh);
        let revoking = revoke(world, round + 1, &first.access);
        let (second, ()) = run_concurrently(refreshing, revoking).await;
        let second = second.unwrap();
        assert!(!world.is_active(&first.access).await);
        assert!(world.is_active(&second.access).await && world.is_active(&second.refresh).await);
    }
}

pub(super) async fn reuse_racing_with_legitimate_refresh_leaves_no_active_token(world: &World) {
    for round in 0..rounds(world) {
        let first = world.login().await;
        let second = refresh(world, 0, &first.refresh).await.unwrap();
        let third = refresh(world, 0, &second.refresh).await.unwrap();
        let legitimate = refresh(world, round, &third.refresh);
        let replay = refresh(world, round + 1, &first.refresh);
        let (fourth, replayed) = run_concurrently(legitimate, replay).await;
        assert_eq!(replayed, None);
        assert_all_dead(world, [&first, &second, &third].into_iter().chain(&fourth)).await;
    }
}

pub(super) async fn retry_racing_with_next_refresh_never_forks_the_chain(world: &World) {
    for round in 0..rounds(world) {
        let first = world.login().await;
        let second = refresh(world, 0, &first.refresh).await.unwrap();
        let next = refresh(world, round, &second.refresh);
        let retry = refresh(world, round + 1, &first.refresh);
        let (third, retried) = run_concurrently(next, retry).await;
        match retried {
            // The retry came first and got the same pair again.
            Some(retried) => {
                assert_eq!((&retried.access, &retried.refresh), (&second.access, &second.refresh));
                let third = third.unwrap();
                assert!(world.is_active(&third.refresh).await);
                assert!(!world.is_active(&second.refresh).await);
            }
            // It came second: the successor had been used, so this was reuse.
            None => assert_all_dead(world, [&first, &second].into_iter().chain(&third)).await,
        }
    }
}

/// A thief and the legitimate client start with the same token and refresh until one is refused.
/// Both may follow the same chain, but there are never two chains.
pub(super) async fn refresh_by_two_holders_never_forks_the_chain(world: &World) {
    for round in 0..rounds(world) / 4 {
        let first = world.login().await;
        let holder = |turn: usize| {
            let (process, client) = (world.process(turn), app(world));
            let mut pairs = vec![first.clone()];
            async move {
                for _ in 0..10 {
                    let current = &pairs[pairs.len() - 1].refresh;
                    match process.refresh(&client, current, None).await {
                        Ok(next) => pairs.push(next),
                        Err(Error::InvalidGrant(_)) => return (pairs, true),
                        Err(error) => panic!("{error:?}"),
                    }
                }
                (pairs, false)
            }
        };
        let ((one, refused), (other, also_refused)) =
            run_concurrently(holder(round), holder(round + 1)).await;
        let mut alive = Vec::new();
        for pair in one.iter().chain(&other) {
            if world.is_active(&pair.refresh).await && !alive.contains(&pair.refresh) {
                alive.push(pair.refresh.clone());
            }
        }
        // A refusal ends the session. Without one, both holders end with the current token.
        assert_eq!(alive.len(), usize::from(!(refused || also_refused)), "refresh tokens alive");
        if refused || also_refused {
            assert_all_dead(world, one.iter().chain(&other)).await;
        }
    }
}
