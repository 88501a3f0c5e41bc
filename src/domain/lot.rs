//! Random choice of an index.

/// Returns a uniformly distributed random index below `of`, or 0 if `of` is 0.
pub fn draw_lot(of: usize) -> usize {
    if of == 0 { 0 } else { rand::random_range(0..of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_return_every_index_below_count_and_no_other() {
        let drawn: std::collections::BTreeSet<usize> = (0..1000).map(|_| draw_lot(5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((draw_lot(1), draw_lot(0)), (0, 0));
    }
}
