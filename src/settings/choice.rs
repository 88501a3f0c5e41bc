//! Settings whose value is one of a few keywords.

/// Setting whose value is one of a few keywords.
pub(super) trait Choice: Copy + 'static {
    /// Each keyword with its value.
    const WORDS: &'static [(&'static str, Self)];

    fn from_word(text: &str) -> Option<(&'static str, Self)> {
        // flask-sentinel's drivers accepted PRIMARY_PREFERRED for MongoDB's primaryPreferred.
        let plain = |word: &str| word.replace(['_', '-'], "").to_ascii_lowercase();
        Self::WORDS.iter().find(|(word, _)| plain(word) == plain(text.trim())).copied()
    }

    fn expected() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("one of {}", words.join(", "))
    }
}
