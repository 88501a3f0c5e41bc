//! Cases for `UserStore`.

use sentinel::domain::{PasswordHash, Timestamp, User, username_key, username_key_parts};
use sentinel::store::{Page, Stores, Update};

use super::Backend;
use super::samples::{
    NextVersion, count_of, is_alive, scope, session, stored_client, stored_session, stored_user,
    user,
};

pub(super) async fn inserted_user_is_read_back_unchanged(Backend { stores, .. }: &Backend) {
    let users = [
        user("alice"),
        User {
            password: PasswordHash::imported("$2y$05$abcdefghijklmnopqrstuv".to_owned()),
            scopes: Some(scope("write read")),
            enabled: false,
            generation: 7,
            version: 9,
            created_at: Timestamp::from_millis(-1),
            updated_at: Timestamp::from_millis(1_767_225_600_123),
            ..user("bob")
        },
        User { scopes: Some(scope("")), ..user("carol") },
    ];
    for user in &users {
        assert!(stores.users.insert(user).await.unwrap());
    }
    for user in &users {
        assert_eq!(stores.users.find(user.id).await.unwrap().as_ref(), Some(user));
        let by_name = stores.users.find_by_name(&user.username).await.unwrap();
        assert_eq!(by_name.as_ref(), Some(user));
    }
    assert_eq!(stores.users.find(user("x").id).await.unwrap(), None);
    assert_eq!(stores.users.find_by_name("nobody").await.unwrap(), None);
}

/// Writes a user whose name may be another spelling of an existing one, as a store copy does.
async fn put_user(stores: &Stores, name: &str) -> User {
    let user = user(name);
    assert!(stores.transfer.put_user_unchecked(&user).await.unwrap(), "{name:?}");
    user
}

pub(super) async fn user_is_found_by_any_spelling_of_the_name(Backend { stores, .. }: &Backend) {
    let spellings = [
        ("Alice", ["alice", "ALICE", " alice  "]),
        ("zo\u{eb} x", ["ZO\u{cb} X", "zoe\u{308} x", " Zoe\u{308} x"]),
        ("\u{d55c}", ["\u{1112}\u{1161}\u{11ab}", " \u{d55c}", "\u{d55c} "]),
        ("1.0", ["1.0 ", " 1.0", "\u{ff11}.0"]),
    ];
    for (name, others) in spellings {
        let stored = stored_user(stores, name).await;
        for other in others {
            let found = stores.users.find_by_name(other).await.unwrap();
            assert_eq!(found.as_ref(), Some(&stored), "{other:?}");
            assert!(!stores.users.insert(&user(other)).await.unwrap(), "{other:?}");
        }
    }
    for name in ["al ice", "alice\u{200b}", "a", "1", "01.0", "zoe x", "%", ""] {
        assert_eq!(stores.users.find_by_name(name).await.unwrap(), None, "{name:?}");
    }
}

/// Earlier versions, and other servers, have such users.
pub(super) async fn several_spellings_of_a_name_are_found_exactly(
    Backend { stores, .. }: &Backend,
) {
    let names = ["alice", "Alice", "alice ", "zo\u{eb}", "zoe\u{308}"];
    let mut users = Vec::new();
    for name in names {
        users.push(put_user(stores, name).await);
    }
    for (name, user) in names.iter().zip(&users) {
        assert_eq!(stores.users.find_by_name(name).await.unwrap().as_ref(), Some(user), "{name:?}");
    }
    for name in ["ALICE", " alice", "Zo\u{eb}"] {
        assert_eq!(stores.users.find_by_name(name).await.unwrap(), None, "{name:?}");
    }
    assert_eq!(stores.users.find_all_by_name("ALICE").await.unwrap().len(), 3);
    put_user(stores, "bob").await;
    let shared = stores.listing.list_spellings(10).await.unwrap();
    let shared: Vec<_> = shared.iter().map(|user| &*user.username).collect();
    assert_eq!(shared, ["Alice", "alice", "alice ", "zoe\u{308}", "zo\u{eb}"]);
    assert_eq!(stores.listing.list_spellings(2).await.unwrap().len(), 2);
    // Each of them can be changed, and given another name or spelling.
    let changed = User { enabled: false, ..users[0].next() };
    assert_eq!(stores.users.update(&changed).await.unwrap().value, Update::Done);
    let renamed = User { username: "alicia".to_owned(), ..users[1].next() };
    assert_eq!(stores.users.update(&renamed).await.unwrap().value, Update::Done);
    let back = User { username: "Alice".to_owned(), ..renamed.next() };
    assert_eq!(stores.users.update(&back).await.unwrap().value, Update::NameTaken);
    assert!(stores.users.delete(users[2].id, None).await.unwrap().value);
    assert_eq!(stores.users.find_by_name("ALICE").await.unwrap(), Some(changed));
}

pub(super) async fn disallowed_names_are_compared_byte_by_byte(Backend { stores, .. }: &Backend) {
    let long = "\u{1f511}x".repeat(2000);
    let longer = format!("{long}y");
    // Invisible characters, symbols, and parts that more than one space separates.
    let names = [
        "a\u{200b}",
        "A\u{200b}",
        "a\0b",
        "a\0c",
        "a\0",
        "a  b",
        "A  b",
        " ",
        "  ",
        "a\u{2019}b",
        "\u{1f511}",
        &long,
        &longer,
    ];
    for name in names {
        assert!(stores.users.insert(&user(name)).await.unwrap(), "{name:?}");
    }
    for name in names {
        let found = stores.users.find_by_name(name).await.unwrap().unwrap();
        assert_eq!(found.username, name);
        assert!(!stores.users.insert(&user(name)).await.unwrap(), "{name:?} twice");
    }
    for name in ["a", "a\0B", "a\0b\0", "a  B", "a b", "A\u{2019}b", "", &long[..10]] {
        assert_eq!(stores.users.find_by_name(name).await.unwrap(), None, "{name:?}");
    }
    assert_eq!(stores.listing.list_users("", &Page::first(100)).await.unwrap().len(), names.len());
}

pub(super) async fn username_is_unique(Backend { stores, .. }: &Backend) {
    let first = stored_user(stores, "alice").await;
    let second = user("alice");
    assert!(!stores.users.insert(&second).await.unwrap());
    assert_eq!(stores.users.find(second.id).await.unwrap(), None);
    assert_eq!(stores.users.find_by_name("alice").await.unwrap(), Some(first.clone()));
    // A name that was given up can be taken again.
    let renamed = User { username: "alicia".to_owned(), ..first.next() };
    assert_eq!(stores.users.update(&renamed).await.unwrap().value, Update::Done);
    assert_eq!(stores.users.find_by_name("alice").await.unwrap(), None);
    assert!(stores.users.insert(&second).await.unwrap());
    assert!(stores.users.delete(second.id, None).await.unwrap().value);
    stored_user(stores, "alice").await;
}

pub(super) async fn insert_many_skips_users_with_taken_names_or_ids(
    Backend { stores, .. }: &Backend,
) {
    assert_eq!(stores.transfer.insert_users(&[]).await.unwrap(), [] as [bool; 0]);
    let alice = stored_user(stores, "alice").await;
    let of_alice = |name: &str| User { id: alice.id, generation: 7, ..user(name) };
    let twin = user("twin");
    let mut users: Vec<_> = (0..300).map(|number| user(&format!("user{number}"))).collect();
    users.splice(100..100, [user("alice"), of_alice("alicia"), of_alice("alice"), twin.clone()]);
    users.extend([user("twin"), User { id: twin.id, ..user("another") }, user("last")]);
    let added = stores.transfer.insert_users(&users).await.unwrap();
    for (index, (user, added)) in users.iter().zip(&added).enumerate() {
        let found = stores.users.find_by_name(&user.username).await.unwrap();
        assert_eq!(found.as_ref() == Some(user), *added, "{index}: {}", user.username);
    }
    let refused: Vec<_> = (0..users.len()).filter(|index| !added[*index]).collect();
    assert_eq!(refused, [100, 101, 102, 304, 305]);
    assert_eq!(stores.users.find(alice.id).await.unwrap(), Some(alice));
    // A repeated call, as after a crash, adds nothing.
    assert!(!stores.transfer.insert_users(&users).await.unwrap().contains(&true));
    assert_eq!(stores.listing.count_users("", 1000).await.unwrap(), 303);
}

pub(super) async fn users_are_listed_by_name_page_by_page(Backend { stores, .. }: &Backend) {
    assert_eq!(stores.listing.list_users("", &Page::first(10)).await.unwrap(), []);
    let mut names = ["b", "a", "A", "\u{e9}", "z", "a\0", "\u{1f511}", "\u{ffff}", "aa", "B"];
    for name in names {
        put_user(stores, name).await;
    }
    names.sort_unstable_by_key(|name| name.as_bytes());
    for limit in [1, 2, 3, 9, 10, 11, u32::MAX] {
        let mut seen = Vec::new();
        let mut page = Page::first(limit);
        loop {
            let users = stores.listing.list_users("", &page).await.unwrap();
            assert!(users.len() <= limit as usize);
            let Some(last) = users.last() else { break };
            page.cursor = Some(last.username.clone());
            seen.extend(users.into_iter().map(|user| user.username));
        }
        assert_eq!(seen, names, "by {limit}");
    }
    assert_eq!(stores.listing.list_users("", &Page::first(0)).await.unwrap(), []);
    // The last user of the previous page may have been deleted since.
    let behind = Page { cursor: Some("aaa".to_owned()), limit: 2 };
    let users = stores.listing.list_users("", &behind).await.unwrap();
    assert_eq!(users.iter().map(|user| &user.username).collect::<Vec<_>>(), ["b", "z"]);
}

pub(super) async fn users_are_searched_by_name_prefix(Backend { stores, .. }: &Backend) {
    let names = [
        "a",
        "A",
        "al",
        "alice",
        "alan",
        "am",
        "b",
        "al%",
        "al_",
        "al*",
        "al.",
        "al\0",
        "al\u{e9}",
        "Al\u{e9}",
        "ALAN",
        "AL\u{1f511}",
        "Al  x",
        "al\u{10ffff}",
        "al\u{10ffff}x",
        "\u{10ffff}",
        "\u{d7ff}",
        "\u{e000}",
        "10",
        "1",
    ];
    for name in names {
        put_user(stores, name).await;
    }
    let prefixes = [
        " a",
        "AL",
        "Al ",
        "ale\u{301}",
        "a",
        "A",
        "al",
        "alice",
        "alicex",
        "al%",
        "al_",
        "al.",
        "al\0",
        "al\u{10ffff}",
        "\u{10ffff}",
        "\u{d7ff}",
        "1",
        "c",
        "%",
        "^a",
        "B",
    ];
    for prefix in prefixes {
        let is_found = |name: &&str| {
            let key = username_key(name);
            username_key_parts(prefix).iter().any(|start| key.starts_with(start))
        };
        let mut wanted: Vec<_> = names.into_iter().filter(is_found).collect();
        wanted.sort_unstable_by_key(|name| (username_key(name), *name));
        for limit in [1, 2, 100] {
            let mut seen = Vec::new();
            let mut page = Page::first(limit);
            loop {
                let users = stores.listing.list_users(prefix, &page).await.unwrap();
                assert!(users.len() <= limit as usize);
                let Some(last) = users.last() else { break };
                page.cursor = Some(last.username.clone());
                seen.extend(users.into_iter().map(|user| user.username));
            }
            assert_eq!(seen, wanted, "{prefix:?} by {limit}");
        }
    }
    // Pages that start before or after all names with the prefix.
    let behind = |name: &str| Page { cursor: Some(name.to_owned()), limit: 100 };
    let found = stores.listing.list_users("AL", &behind("a")).await.unwrap();
    let found: Vec<_> = found.iter().map(|user| &*user.username).collect();
    assert_eq!(found.len(), 13, "{found:?}");
    assert_eq!(stores.listing.list_users("al", &behind("b")).await.unwrap(), []);
}

pub(super) async fn users_are_found_by_parts_of_names_in_any_case(
    Backend { stores, .. }: &Backend,
) {
    let names = [
        "alice",
        "Alan",
        "ALBERT",
        "bo",
        "Bob",
        "a.b*",
        "a%b",
        "a_b",
        "a\0b",
        "Z\u{e9}lie",
        "ZO\u{cb}",
        "\u{1f511}key",
        "x y",
        "b\\c",
        "10",
    ];
    for name in names {
        put_user(stores, name).await;
    }
    let parts = [
        "",
        "a",
        "AL",
        "li",
        "LI",
        "o",
        "B",
        "b",
        ".",
        "*",
        "%",
        "_",
        "\0",
        "\\",
        "e\u{301}",
        "\u{c9}",
        "\u{eb}",
        "\u{1f511}",
        "x y",
        " y ",
        "[b]",
        "zz",
        "^a",
        "\u{10ffff}",
    ];
    for part in parts {
        let is_found = |name: &&str| {
            let key = username_key(name);
            username_key_parts(part).iter().any(|part| key.contains(part))
        };
        let mut wanted: Vec<_> = names.into_iter().filter(is_found).collect();
        wanted.sort_unstable_by_key(|name| (username_key(name), *name));
        for limit in [1, 2, 100] {
            let mut seen = Vec::new();
            let mut page = Page::first(limit);
            loop {
                let users = stores.listing.search_users(part, &page).await.unwrap();
                assert!(users.len() <= limit as usize);
                let Some(last) = users.last() else { break };
                page.cursor = Some(last.username.clone());
                seen.extend(users.into_iter().map(|user| user.username));
            }
            assert_eq!(seen, wanted, "{part:?} by {limit}");
        }
        let count = stores.listing.count_users(part, 100).await.unwrap();
        assert_eq!(count, wanted.len() as u64, "{part:?}");
        let count = stores.listing.count_users(part, 1).await.unwrap();
        assert_eq!(count, wanted.len().min(1) as u64, "{part:?}");
    }
    assert_eq!(stores.listing.search_users("a", &Page::first(0)).await.unwrap(), []);
    let longest = "a".repeat(1000);
    assert_eq!(stores.listing.search_users(&longest, &Page::first(1)).await.unwrap(), []);
}

pub(super) async fn users_are_counted_up_to_a_limit(Backend { stores, .. }: &Backend) {
    assert_eq!(stores.listing.count_users("", 10).await.unwrap(), 0);
    for name in ["a", "b", "c"] {
        stored_user(stores, name).await;
    }
    let gone = stored_user(stores, "d").await;
    assert_eq!(stores.listing.count_users("", 10).await.unwrap(), 4);
    assert!(stores.users.delete(gone.id, None).await.unwrap().value);
    for (limit, count) in [(0, 0), (1, 1), (3, 3), (4, 3), (u32::MAX, 3)] {
        assert_eq!(stores.listing.count_users("", limit).await.unwrap(), count, "up to {limit}");
    }
}

pub(super) async fn update_replaces_only_the_preceding_version(Backend { stores, .. }: &Backend) {
    let first = stored_user(stores, "alice").await;
    let second = User {
        username: "alicia".to_owned(),
        password: PasswordHash::imported("$2b$05$other".to_owned()),
        scopes: Some(scope("read")),
        enabled: false,
        generation: 3,
        updated_at: Timestamp::from_millis(5),
        ..first.next()
    };
    assert_eq!(stores.users.update(&second).await.unwrap().value, Update::Done);
    assert_eq!(stores.users.find(first.id).await.unwrap(), Some(second.clone()));
    for version in [0, 1, 3, 4, 100] {
        let wrong = User { username: "eve".to_owned(), version, ..second.clone() };
        assert_eq!(stores.users.update(&wrong).await.unwrap().value, Update::Stale, "{version}");
    }
    assert_eq!(stores.users.find(first.id).await.unwrap(), Some(second));
    assert_eq!(stores.users.update(&user("nobody").next()).await.unwrap().value, Update::Stale);
}

pub(super) async fn update_to_taken_name_changes_nothing(Backend { stores, .. }: &Backend) {
    let client = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let bob = stored_user(stores, "bob").await;
    let session = stored_session(stores, Some(&bob), &client).await;
    let greedy = User { username: "alice".to_owned(), generation: 1, ..bob.next() };
    assert_eq!(stores.users.update(&greedy).await.unwrap().value, Update::NameTaken);
    let greedy = User { username: "ALICE ".to_owned(), ..greedy };
    assert_eq!(stores.users.update(&greedy).await.unwrap().value, Update::NameTaken);
    assert_eq!(stores.users.find(bob.id).await.unwrap(), Some(bob.clone()));
    assert_eq!(stores.users.find_by_name("alice").await.unwrap(), Some(alice));
    assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
    // A user may keep the name, or change its case.
    let other_case = User { username: "BOB".to_owned(), ..bob.next() };
    assert_eq!(stores.users.update(&bob.next()).await.unwrap().value, Update::Done);
    let other_case = User { version: 2, ..other_case };
    assert_eq!(stores.users.update(&other_case).await.unwrap().value, Update::Done);
}

pub(super) async fn rename_is_propagated_to_sessions_of_that_user_only(
    Backend { stores, .. }: &Backend,
) {
    let client = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let bob = stored_user(stores, "bob").await;
    let mut of_alice = Vec::new();
    for _ in 0..3 {
        of_alice.push(stored_session(stores, Some(&alice), &client).await);
    }
    let of_bob = stored_session(stores, Some(&bob), &client).await;
    let of_client = stored_session(stores, None, &client).await;
    let renamed = User { username: "alicia\0\u{1f511}".to_owned(), ..alice.next() };
    assert_eq!(stores.users.update(&renamed).await.unwrap().value, Update::Done);
    for before in of_alice {
        let after = stores.sessions.find(before.id).await.unwrap().unwrap();
        assert!(after.version > before.version);
        assert_eq!(after.user.as_ref().unwrap().username, renamed.username);
        // A replacement based on the version before the rename has to be retried.
        assert!(!stores.sessions.replace(&before.next(), false).await.unwrap().value);
        assert!(stores.sessions.replace(&after.next(), false).await.unwrap().value);
    }
    for session in [of_bob, of_client] {
        assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
    }
}

/// The login reads the user before the rename, and inserts its session after it.
pub(super) async fn login_during_rename_does_not_restore_old_name(
    Backend { stores, .. }: &Backend,
) {
    let client = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let started = session(Some(&alice), &client);
    let renamed = User { username: "alicia".to_owned(), ..alice.next() };
    assert_eq!(stores.users.update(&renamed).await.unwrap().value, Update::Done);
    // The store may also refuse the session.
    if stores.sessions.insert(&started).await.unwrap() {
        let found = stores.sessions.find(started.id).await.unwrap().unwrap();
        assert_eq!(found.user.unwrap().username, "alicia");
    } else {
        assert_eq!(stores.sessions.find(started.id).await.unwrap(), None);
    }
}

pub(super) async fn new_generation_ends_sessions_of_that_user_only(
    Backend { stores, .. }: &Backend,
) {
    let client = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let bob = stored_user(stores, "bob").await;
    let old = stored_session(stores, Some(&alice), &client).await;
    let of_bob = stored_session(stores, Some(&bob), &client).await;
    let of_client = stored_session(stores, None, &client).await;
    let alice = User { generation: 1, ..alice.next() };
    assert_eq!(stores.users.update(&alice).await.unwrap().value, Update::Done);
    assert!(!is_alive(stores, &old).await);
    assert!(is_alive(stores, &of_bob).await && is_alive(stores, &of_client).await);
    assert!(!stores.sessions.insert(&old).await.unwrap());
    let new = stored_session(stores, Some(&alice), &client).await;
    assert_eq!(stores.users.update(&alice.next()).await.unwrap().value, Update::Done);
    assert!(is_alive(stores, &new).await);
}

pub(super) async fn update_without_new_generation_ends_no_session(
    Backend { stores, .. }: &Backend,
) {
    let client = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let session = stored_session(stores, Some(&alice), &client).await;
    let limited = User { scopes: Some(scope("read")), ..alice.next() };
    assert_eq!(stores.users.update(&limited).await.unwrap().value, Update::Done);
    assert!(is_alive(stores, &session).await);
    // A stale update ends no session either, even with a new generation.
    let stale = User { generation: 9, ..alice.next() };
    assert_eq!(stores.users.update(&stale).await.unwrap().value, Update::Stale);
    assert!(is_alive(stores, &session).await);
}

pub(super) async fn password_upgrade_replaces_only_the_expected_hash(
    Backend { stores, .. }: &Backend,
) {
    let client = stored_client(stores).await;
    let weak = PasswordHash::imported("$2b$05$weak".to_owned());
    let strong = PasswordHash::own("$argon2id$strong".to_owned());
    let other = PasswordHash::own("$argon2id$other".to_owned());
    let alice = User { password: weak.clone(), ..user("alice") };
    let bob = User { password: weak.clone(), ..user("bob") };
    assert!(stores.users.insert(&alice).await.unwrap());
    assert!(stores.users.insert(&bob).await.unwrap());
    let session = stored_session(stores, Some(&alice), &client).await;

    assert!(!stores.users.upgrade_password(alice.id, &other, &strong).await.unwrap());
    assert!(!stores.users.upgrade_password(user("x").id, &weak, &strong).await.unwrap());
    assert_eq!(stores.users.find(alice.id).await.unwrap(), Some(alice.clone()));

    assert!(stores.users.upgrade_password(alice.id, &weak, &strong).await.unwrap());
    let upgraded = stores.users.find(alice.id).await.unwrap().unwrap();
    assert_eq!(upgraded.password, strong);
    assert_eq!(upgraded.generation, alice.generation);
    assert_eq!(stores.users.find(bob.id).await.unwrap(), Some(bob));
    assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
    assert!(!stores.users.upgrade_password(alice.id, &weak, &other).await.unwrap());
    // An edit that started before the upgrade would restore the weak hash.
    assert_eq!(stores.users.update(&alice.next()).await.unwrap().value, Update::Stale);
}

pub(super) async fn hashes_without_given_prefixes_are_found(Backend { stores, .. }: &Backend) {
    let hashes = [
        PasswordHash::own("$argon2id$v=19$m=64,t=1,p=1$a$b".to_owned()),
        PasswordHash::imported("$2b$05$x".to_owned()),
        PasswordHash::own("$2b$12$y".to_owned()),
        PasswordHash::imported("100% p\u{e4}ss'\"word".to_owned()),
        PasswordHash::imported(String::new()),
    ];
    for (number, password) in hashes.iter().enumerate() {
        let user = User { password: password.clone(), ..user(&format!("user-{number}")) };
        assert!(stores.users.insert(&user).await.unwrap());
    }
    let unlike = async |beginnings: &[&str], limit| {
        let beginnings: Vec<String> = beginnings.iter().map(ToString::to_string).collect();
        let found = stores.listing.sample_password_hashes(&beginnings, None, limit).await.unwrap();
        let mut found: Vec<_> = found.into_iter().map(|(_, hash)| hash).collect();
        found.sort_by_key(|hash| hashes.iter().position(|other| other == hash));
        found
    };
    assert_eq!(unlike(&[], 9).await, hashes);
    assert_eq!(unlike(&["$argon2id$v=19$m=64,t=1,p=1$"], 9).await, hashes[1..]);
    assert_eq!(unlike(&["$argon2id$v=19$", "$2b$05$"], 9).await, hashes[2..]);
    assert_eq!(unlike(&["$argon2id$", "$2b$", "100% p\u{e4}"], 9).await, hashes[4..]);
    // Prefixes are not patterns, and they are case-sensitive.
    assert_eq!(unlike(&["%", "_", ".*", "$2B$", "$2b$05$xx"], 9).await, hashes);
    assert!(unlike(&[""], 9).await.is_empty());
    assert_eq!(unlike(&["$2b$"], 2).await.len(), 2);
    assert!(unlike(&[], 0).await.is_empty());
    // Pages are ordered by user id.
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let found =
            stores.listing.sample_password_hashes(&["$2b$".to_owned()], after, 2).await.unwrap();
        let Some((last, _)) = found.last() else { break };
        after = Some(*last);
        seen.extend(found);
    }
    assert!(seen.is_sorted_by(|(one, _), (next, _)| one < next) && seen.len() >= 3, "{seen:?}");
    for (id, hash) in seen {
        assert_eq!(stores.users.find(id).await.unwrap().unwrap().password, hash);
    }
    // A deleted user has no hash.
    let first = stores.users.find_by_name("user-0").await.unwrap().unwrap();
    assert!(stores.users.delete(first.id, None).await.unwrap().value);
    assert_eq!(unlike(&[], 9).await, hashes[1..]);
}

pub(super) async fn deleting_a_user_deletes_its_sessions(Backend { stores, .. }: &Backend) {
    let client = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let bob = stored_user(stores, "bob").await;
    let of_bob = stored_session(stores, Some(&bob), &client).await;
    let of_client = stored_session(stores, None, &client).await;
    for _ in 0..3 {
        stored_session(stores, Some(&alice), &client).await;
    }
    assert!(stores.users.delete(alice.id, None).await.unwrap().value);
    assert!(!stores.users.delete(alice.id, None).await.unwrap().value);
    assert_eq!(stores.users.find(alice.id).await.unwrap(), None);
    assert_eq!(stores.users.find_by_name("alice").await.unwrap(), None);
    assert_eq!(count_of(stores, &alice).await, 0);
    assert!(is_alive(stores, &of_bob).await && is_alive(stores, &of_client).await);
    assert_eq!(stores.users.update(&alice.next()).await.unwrap().value, Update::Stale);
}

pub(super) async fn user_is_deleted_only_at_the_given_version(Backend { stores, .. }: &Backend) {
    let client = stored_client(stores).await;
    let alice = stored_user(stores, "alice").await;
    let session = stored_session(stores, Some(&alice), &client).await;
    let next = alice.next();
    assert_eq!(stores.users.update(&next).await.unwrap().value, Update::Done);
    for version in [0, 2, u64::MAX] {
        assert!(!stores.users.delete(alice.id, Some(version)).await.unwrap().value, "{version}");
    }
    assert_eq!(stores.users.find(alice.id).await.unwrap(), Some(next));
    assert!(is_alive(stores, &session).await);
    assert!(stores.users.delete(alice.id, Some(1)).await.unwrap().value);
    assert!(!stores.users.delete(alice.id, Some(1)).await.unwrap().value);
    assert_eq!(stores.users.find(alice.id).await.unwrap(), None);
    assert!(!is_alive(stores, &session).await);
}

pub(super) async fn put_user_overwrites_any_version_and_ends_no_session(
    Backend { stores, .. }: &Backend,
) {
    let (alice, client) = (user("alice"), stored_client(stores).await);
    assert!(stores.transfer.put_user_unchecked(&alice).await.unwrap());
    assert_eq!(stores.users.find(alice.id).await.unwrap().as_ref(), Some(&alice));
    let session = stored_session(stores, Some(&alice), &client).await;
    let other = User {
        username: "alicia".to_owned(),
        password: PasswordHash::imported("$2b$04$x".to_owned()),
        scopes: Some(scope("read")),
        enabled: false,
        generation: 3,
        version: 41,
        ..alice.clone()
    };
    for user in [&other, &alice, &other] {
        assert!(stores.transfer.put_user_unchecked(user).await.unwrap());
        assert_eq!(stores.users.find(alice.id).await.unwrap().as_ref(), Some(user));
    }
    assert_eq!(stores.users.find_by_name("alice").await.unwrap(), None);
    assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
    // Updates continue from the stored version.
    assert_eq!(stores.users.update(&other.next()).await.unwrap().value, Update::Done);
}

pub(super) async fn put_user_with_taken_name_is_rejected(Backend { stores, .. }: &Backend) {
    let (alice, bob) = (stored_user(stores, "alice").await, stored_user(stores, "bob").await);
    assert!(!stores.transfer.put_user_unchecked(&user("alice")).await.unwrap());
    let renamed = User { username: "alice".to_owned(), ..bob.clone() };
    assert!(!stores.transfer.put_user_unchecked(&renamed).await.unwrap());
    assert_eq!(stores.listing.list_users("", &Page::first(10)).await.unwrap(), [alice, bob]);
}
