//! An unusual combination of lifetimes that the model does not cover.

use std::time::Duration;

use sentinel::domain::Client;

use super::world::World;

/// DESIGN §2: "any replay after it, or of an older token, revokes the whole session". The access
/// token of this client outlives its refresh token.
pub(super) async fn refresh_token_reuse_after_idle_lifetime_revokes_access_tokens(world: &World) {
    let app = Client {
        access_token_ttl: Some(Duration::from_secs(100)),
        refresh_idle_ttl: Some(Duration::from_secs(10)),
        version: 1,
        ..world.clients[0].clone()
    };
    world.backend.stores.clients.update(&app).await.unwrap().into_result().unwrap();
    let first = world.login().await;
    let second = world.process(0).refresh(&app, &first.refresh, None).await.unwrap();
    world.clock.advance(Duration::from_secs(11));
    // The current refresh token has merely expired.
    assert!(world.process(0).refresh(&app, &second.refresh, None).await.is_err());
    assert!(world.is_active(&first.access).await && world.is_active(&second.access).await);
    // The previous one was used before, so this is reuse.
    assert!(world.process(0).refresh(&app, &first.refresh, None).await.is_err());
    assert!(!world.is_active(&first.access).await && !world.is_active(&second.access).await);
}
