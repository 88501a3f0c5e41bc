//! Logins, refreshes and revocations in any order, against a model of the rules (DESIGN §2); and all
//! at once, where only what must never happen can be said. Over `oauth::Provider`, without HTTP, in
//! two processes that share a store.

mod history;
mod lifetimes;
mod model;
mod races;
mod steps;
mod world;

/// Makes a test of every case, for one backend.
macro_rules! hold {
    ($backend:ident: $histories:literal) => {
        mod $backend {
            #[test]
            fn any_history_agrees_with_the_model() {
                let backend = crate::store_contract::$backend;
                super::steps::any_history_agrees_with_the_model($histories, backend);
            }

            hold! { $backend: lifetimes:
                a_replay_after_the_idle_lifetime_ends_the_access_that_is_left,
            }

            hold! { $backend: races:
                fifty_parallel_refreshes_rotate_once_and_answer_one_pair,
                a_revocation_that_races_with_refreshes_leaves_nothing_alive,
                the_revocation_of_an_access_token_is_not_undone_by_a_refresh,
                a_replay_that_races_with_the_legitimate_refresh_leaves_nothing_alive,
                a_retry_that_races_with_the_next_refresh_never_forks,
                a_chain_refreshed_by_two_holders_at_once_never_forks,
            }
        }
    };
    ($backend:ident: $area:ident: $($(#[$attribute:meta])* $case:ident,)*) => {
        $($(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $case() {
            let backend = crate::store_contract::$backend().await;
            let world = super::world::World::on(backend).await;
            super::$area::$case(&world).await;
        })*
    };
}

// With a server behind it, a history takes a second.
hold!(embedded: 64);
hold!(mongodb: 5);
