//! Settings that are one of a few words.

/// A setting that is one of a few words.
pub(super) trait Choice: Copy + 'static {
    /// Each word with its meaning.
    const WORDS: &'static [(&'static str, Self)];

    fn from_word(text: &str) -> Option<(&'static str, Self)> {
        // flask-sentinel's drivers took PRIMARY_PREFERRED where MongoDB says primaryPreferred.
        let plain = |word: &str| word.replace(['_', '-'], "").to_ascii_lowercase();
        Self::WORDS.iter().find(|(word, _)| plain(word) == plain(text.trim())).copied()
    }

    fn expected() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("one of {}", words.join(", "))
    }
}
