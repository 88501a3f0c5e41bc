//! Random steps and the histories made of them.

use std::cell::RefCell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use super::history::{EventCounts, History};
use super::world::World;
use crate::store_contract::Backend;

/// Selects a token of the history so far.
#[derive(Clone, Debug)]
pub(super) enum TokenChoice {
    /// Refresh token by age of the login (0 is the latest) and age of the token (0 is the current
    /// one, 1 the one used last).
    Refresh(usize, usize),
    /// Any refresh token of any login.
    AnyRefresh(Index, Index),
    /// Any access token of any login.
    Access(Index, Index),
    Garbage,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Login {
        client: usize,
        right: bool,
        asked: Option<&'static str>,
    },
    Refresh {
        token: TokenChoice,
        own_client: bool,
        asked: Option<&'static str>,
    },
    /// Refreshes the current token of a login this many times in a row.
    Chain {
        login: usize,
        length: usize,
    },
    Revoke {
        token: TokenChoice,
        own_client: bool,
    },
    Wait(Duration),
    EnableUser(bool),
    NewPassword,
    LimitUser(Option<&'static str>),
    EnableClient(usize, bool),
    ReplaceClient(usize),
    Purge,
}

fn pick() -> impl Strategy<Value = TokenChoice> {
    let (recent, index) = (|| 0usize..3, any::<Index>);
    prop_oneof![
        5 => recent().prop_map(|login| TokenChoice::Refresh(login, 0)),
        5 => recent().prop_map(|login| TokenChoice::Refresh(login, 1)),
        2 => (recent(), 2usize..4).prop_map(|(login, age)| TokenChoice::Refresh(login, age)),
        1 => (index(), index()).prop_map(|(login, token)| TokenChoice::AnyRefresh(login, token)),
        1 => (index(), index()).prop_map(|(login, token)| TokenChoice::Access(login, token)),
        1 => Just(TokenChoice::Garbage),
    ]
}

fn asked() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        5 => Just(None),
        1 => Just(Some("read")),
        1 => Just(Some("write read")),
        1 => Just(Some("admin read write")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let usually = || proptest::bool::weighted(0.9);
    // Before, at and after the limits: grace 5 s, access 20 s, idle 60 s, session 150 s.
    let short = proptest::sample::select(vec![1, 500, 2_000, 4_999, 5_000, 5_001]);
    let long = proptest::sample::select(vec![14_999, 19_999, 20_000, 40_000, 59_999, 60_000]);
    prop_oneof![
        8 => (0usize..2, usually(), asked())
            .prop_map(|(client, right, asked)| Step::Login { client, right, asked }),
        30 => (pick(), usually(), asked())
            .prop_map(|(token, own_client, asked)| Step::Refresh { token, own_client, asked }),
        4 => (0usize..3, 1usize..20)
            .prop_map(|(login, length)| Step::Chain { login, length }),
        3 => (pick(), usually())
            .prop_map(|(token, own_client)| Step::Revoke { token, own_client }),
        8 => short.prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        5 => long.prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        2 => usually().prop_map(Step::EnableUser),
        1 => Just(Step::NewPassword),
        2 => proptest::sample::select(vec![None, Some("read"), Some("admin read write")])
            .prop_map(Step::LimitUser),
        2 => (0usize..2, usually()).prop_map(|(client, on)| Step::EnableClient(client, on)),
        1 => (0usize..2).prop_map(Step::ReplaceClient),
        1 => Just(Step::Purge),
    ]
}

pub(super) fn any_history_agrees_with_the_model<F: Future<Output = Backend>>(
    cases: u32,
    backend: impl Fn() -> F,
) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let total = RefCell::new(EventCounts::default());
    TestRunner::new(config)
        .run(&vec(step(), 20..60), |steps| {
            let tally = runtime.block_on(async {
                History::new(World::on(backend().await).await).live(steps).await
            });
            total.borrow_mut().add(&tally);
            Ok(())
        })
        .unwrap();
    let total = total.into_inner();
    println!("{total:?}");
    if cases < 64 {
        assert!(total.rotated > 10 && total.alive > 50 && total.dead > 50, "{total:?}");
        return;
    }
    assert!(total.rotated > 200 && total.alive > 1000 && total.dead > 1000, "{total:?}");
    assert!(total.repeated > 5 && total.replayed > 5 && total.too_wide > 5, "{total:?}");
    assert!(total.dropped > 5, "{total:?}");
}
