//! Key ranges for prefix searches.

/// Returns the exclusive end of the key range of `prefix`: the least string, in byte order, that is
/// greater than every string that begins with `prefix`. Returns `None` if the range has no end.
/// Incrementing the last character is enough, since UTF-8 sorts by code point.
pub(super) fn prefix_range_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn range_end_drops_trailing_maximum_characters() {
        assert_eq!(prefix_range_end(""), None);
        assert_eq!(prefix_range_end("\u{10ffff}"), None);
        assert_eq!(prefix_range_end("ab\u{10ffff}").as_deref(), Some("ac"));
        assert_eq!(prefix_range_end("\u{d7ff}").as_deref(), Some("\u{e000}"));
    }

    proptest! {
        #[test]
        fn range_contains_exactly_texts_with_prefix(prefix in ".{0,3}", text in ".{0,5}") {
            let within = |text: &str| {
                *text >= *prefix && prefix_range_end(&prefix).is_none_or(|end| *text < *end)
            };
            prop_assert_eq!(within(&text), text.starts_with(&prefix));
            let longer = format!("{prefix}{text}");
            prop_assert!(within(&longer));
        }
    }
}
