//! Versions and generations as the backends store them: signed, since they have no unsigned
//! integers.

use super::{Result, StoreError};

/// Converts the stored version or generation (counter) of a record of kind `what` to unsigned.
///
/// Rejects a negative number with [`StoreError::Corrupt`], and the maximum too: a record with the
/// maximum could never be replaced, and each attempt would look like a conflict with another
/// writer.
pub(super) fn counter(number: i64, what: &'static str) -> Result<u64> {
    match u64::try_from(number) {
        Ok(_) if number == i64::MAX => {
            Err(StoreError::corrupt(what, "the counter is at its maximum"))
        }
        Ok(number) => Ok(number),
        Err(error) => Err(StoreError::corrupt(what, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_or_maximum_counter_is_corrupt_record() {
        assert_eq!([0, 7].map(|number| counter(number, "user").unwrap()), [0, 7]);
        for number in [-1, i64::MIN, i64::MAX] {
            assert!(matches!(counter(number, "user"), Err(StoreError::Corrupt { .. })), "{number}");
        }
    }
}
