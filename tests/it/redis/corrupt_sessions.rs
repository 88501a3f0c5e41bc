//! A session that is corrupt or whose invalidation fails does not block other invalidations.

use rusqlite::Connection;
use sentinel::admin::{NewUser, UserChange};
use sentinel::domain::{Token, UserId};

use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, PASSWORD, TestResponse};

/// Number of invalidations greater than that of one batch.
const MANY: u32 = 501;

async fn app(redis: &Redis) -> (App, UserId) {
    let app = AppBuilder::default().redis(redis).spawn().await;
    let password = app.user.password.clone();
    let bob = NewUser { username: "bob".to_owned(), password, scopes: None, enabled: true };
    let bob = app.admin.add_user(bob).await.unwrap().id;
    (app, bob)
}

fn file(app: &App) -> Connection {
    let file = Connection::open(app.folder.path().join("sentinel.db")).unwrap();
    file.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    file
}

fn session(login: &TestResponse) -> String {
    Token::parse(&login.access_token()).unwrap().session_id().to_string()
}

fn rename(username: &str) -> UserChange {
    UserChange { username: Some(username.to_owned()), ..UserChange::default() }
}

fn disable() -> UserChange {
    UserChange { enabled: Some(false), ..UserChange::default() }
}

#[tokio::test]
async fn corrupt_session_blocks_no_change_and_is_unpublished() {
    let redis = Redis::start();
    let (app, bob) = app(&redis).await;
    let (alice, of_bob) = (app.login().await, app.login_with_password("bob", PASSWORD).await);
    let damage = "UPDATE sessions SET tokens = x'00' WHERE hex(id) = upper(?1)";
    assert_eq!(file(&app).execute(damage, [session(&alice)]).unwrap(), 1);
    let renamed = app.admin.edit_user(app.user.id, &rename("alicia")).await.unwrap();
    assert_eq!(renamed.username, "alicia");
    assert_eq!(redis.owner(&alice.access_token()).await, None);
    assert!(redis.owner(&of_bob.access_token()).await.is_some());
    app.admin.edit_user(bob, &disable()).await.unwrap();
    assert_eq!(redis.owner(&of_bob.access_token()).await, None);
    let losses = "SELECT count(*) FROM losses";
    let left: i64 = file(&app).query_row(losses, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

/// The invalidations that are delivered first fail because of invalid data in Redis.
#[tokio::test]
async fn failing_invalidations_do_not_block_later_ones() {
    let redis = Redis::start();
    let (app, bob) = app(&redis).await;
    let of_bob = app.login_with_password("bob", PASSWORD).await;
    // The key for the list of published tokens has another type.
    let spoil = "for i = 1, ARGV[1] do
        redis.call('SET', 'sentinel:published:' .. string.format('%024x', i), 'x') end";
    redis.ask::<()>(&["EVAL", spoil, "0", &MANY.to_string()]).await;
    let file = file(&app);
    for number in 1..=MANY {
        let id = u128::from(number).to_be_bytes();
        file.execute("INSERT INTO losses (session) VALUES (?1)", [&id[4..]]).unwrap();
    }
    let message = app.admin.edit_user(bob, &disable()).await.unwrap_err();
    assert!(
        message.to_string().starts_with("the change is stored, but its Redis invalidation failed"),
        "{message}"
    );
    assert!(!app.admin.user("bob").await.unwrap().enabled);
    assert_eq!(redis.owner(&of_bob.access_token()).await, None);
    let left: i64 = file.query_row("SELECT count(*) FROM losses", [], |row| row.get(0)).unwrap();
    assert_eq!(left, i64::from(MANY));
}
