//! Cases for `RateLimitRecords`.

use std::time::Duration;

use sentinel::domain::{RateLimitKey, RateLimitKeyKind, Timestamp};
use sentinel::store::{RateLimitOrder, SpentBudget};

use super::Backend;
use crate::helpers::START;

fn after(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn name(name: &str) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::Name, &[name.as_bytes()])
}

fn address(address: &str) -> RateLimitKey {
    RateLimitKey::new(RateLimitKeyKind::Address, &[address.as_bytes()])
}

fn spent(key: RateLimitKey, subject: Option<&str>, seconds: u64) -> SpentBudget {
    let subject = subject.map(str::to_owned);
    SpentBudget { key, guessed: "password".to_owned(), subject, until: after(seconds) }
}

pub(super) async fn known_devices_are_replaced_as_a_whole(Backend { stores, other, .. }: &Backend) {
    let (one, two) = (&stores.rate_limit_records, &other.rate_limit_records);
    assert_eq!(one.find_devices(&name("alice")).await.unwrap(), None);
    for devices in [&b"first"[..], b"", b"\0second\xff"] {
        one.put_devices(&name("alice"), devices, after(0)).await.unwrap();
        let found = two.find_devices(&name("alice")).await.unwrap();
        assert_eq!(found.as_deref(), Some(devices));
    }
    assert_eq!(one.find_devices(&name("bob")).await.unwrap(), None);
    one.put_devices(&name("bob"), b"third", after(0)).await.unwrap();
    for _ in 0..2 {
        one.delete_devices(&name("alice")).await.unwrap();
        assert_eq!(two.find_devices(&name("alice")).await.unwrap(), None);
    }
    assert!(two.find_devices(&name("bob")).await.unwrap().is_some());
}

pub(super) async fn spent_budgets_are_listed_until_they_end(
    Backend { stores, other, .. }: &Backend,
) {
    let (one, two) = (&stores.rate_limit_records, &other.rate_limit_records);
    let budgets = [spent(address("a"), Some("192.0.2.1"), 60), spent(name("a"), None, 120)];
    one.put_spent_budgets(&budgets, after(0)).await.unwrap();
    let list = async |seconds, limit| two.list_spent_budgets(after(seconds), limit).await.unwrap();
    assert_eq!(list(0, 10).await, [budgets[1].clone(), budgets[0].clone()]);
    assert_eq!(list(0, 1).await, [budgets[1].clone()]);
    assert_eq!(list(60, 10).await, [budgets[1].clone()]);
    // A budget that is recorded again replaces its earlier record.
    let again = spent(address("a"), Some("192.0.2.1"), 300);
    one.put_spent_budgets(std::slice::from_ref(&again), after(130)).await.unwrap();
    assert_eq!(list(0, 10).await, [again]);
    assert_eq!(list(300, 10).await, []);
}

pub(super) async fn orders_are_listed_and_delete_what_they_clear(
    Backend { stores, other, .. }: &Backend,
) {
    let (one, two) = (&stores.rate_limit_records, &other.rate_limit_records);
    let budgets = [address("a"), address("b"), name("a")].map(|key| spent(key, None, 300));
    one.put_spent_budgets(&budgets, after(0)).await.unwrap();
    assert_eq!(one.list_orders().await.unwrap(), []);
    one.add_orders(&[], after(1)).await.unwrap();
    let clear = |key| RateLimitOrder::Clear(Some(key));
    let orders = [clear(address("a")), RateLimitOrder::List, clear(name("unknown"))];
    one.add_orders(&orders, after(1)).await.unwrap();
    let found = two.list_orders().await.unwrap();
    assert!(orders.iter().all(|order| found.iter().any(|stored| stored.order == *order)));
    assert!(found.len() == 3 && found[0].id != found[1].id, "{found:?}");
    assert_eq!(one.list_spent_budgets(after(2), 10).await.unwrap().len(), 2);
    two.add_orders(&[RateLimitOrder::Clear(None)], after(2)).await.unwrap();
    assert_eq!(one.list_spent_budgets(after(2), 10).await.unwrap(), []);
    assert_eq!(one.list_orders().await.unwrap().len(), 4);
}
