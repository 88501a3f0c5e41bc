//! Random choice of an index.

/// Returns a uniformly distributed random index below `len`, or 0 if `len` is 0.
pub fn random_index(len: usize) -> usize {
    if len == 0 { 0 } else { rand::random_range(0..len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_index_returns_every_index_below_len_and_no_other() {
        let drawn: std::collections::BTreeSet<usize> = (0..1000).map(|_| random_index(5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((random_index(1), random_index(0)), (0, 0));
    }
}
