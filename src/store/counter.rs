//! Versions and generations, as stores hold them: signed, since they have no other integers.

use super::{Result, StoreError};

/// What a record of kind `what` holds as a count.
///
/// One that cannot grow is as damaged as one below zero: its record could never be replaced, and whoever tried would take
/// it for one that others keep changing.
pub(super) fn counter(number: i64, what: &'static str) -> Result<u64> {
    match u64::try_from(number) {
        Ok(_) if number == i64::MAX => Err(StoreError::damaged(what, "a count is at its end")),
        Ok(number) => Ok(number),
        Err(error) => Err(StoreError::damaged(what, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_not_below_zero_and_can_grow() {
        assert_eq!([0, 7].map(|number| counter(number, "user").unwrap()), [0, 7]);
        for number in [-1, i64::MIN, i64::MAX] {
            assert!(matches!(counter(number, "user"), Err(StoreError::Damaged { .. })), "{number}");
        }
    }
}
