//! Logins, refreshes and revocations in any order, compared with a model of the rules (DESIGN §2);
//! and in parallel, where only invariants are asserted. Tests `oauth::Provider` without HTTP, in
//! two simulated processes that share a store.

mod history;
mod lifetimes;
mod model;
mod races;
mod steps;
mod world;

/// Generates a test of each case for one backend.
macro_rules! hold {
    ($backend:ident: $histories:literal) => {
        mod $backend {
            #[test]
            fn any_history_agrees_with_the_model() {
                let backend = crate::store_contract::$backend;
                super::steps::any_history_agrees_with_the_model($histories, backend);
            }

            hold! { $backend: lifetimes:
                refresh_token_reuse_after_idle_lifetime_revokes_access_tokens,
            }

            hold! { $backend: races:
                parallel_refreshes_rotate_once_and_return_one_token_pair,
                revocation_racing_with_refreshes_leaves_no_active_token,
                access_token_revocation_survives_concurrent_refresh,
                reuse_racing_with_legitimate_refresh_leaves_no_active_token,
                retry_racing_with_next_refresh_never_forks_the_chain,
                refresh_by_two_holders_never_forks_the_chain,
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

// With a database server, a history takes a second.
hold!(embedded: 64);
hold!(mongodb: 5);
