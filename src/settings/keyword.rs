//! Settings whose value is one of a few keywords.

/// Type of a setting whose value is one of a few keywords.
pub(super) trait Keyword: Copy + 'static {
    /// All keywords, each with the value that the keyword stands for.
    const KEYWORDS: &'static [(&'static str, Self)];

    fn from_keyword(text: &str) -> Option<(&'static str, Self)> {
        // flask-sentinel's drivers accepted PRIMARY_PREFERRED for MongoDB's primaryPreferred.
        let plain = |word: &str| word.replace(['_', '-'], "").to_ascii_lowercase();
        Self::KEYWORDS.iter().find(|(word, _)| plain(word) == plain(text.trim())).copied()
    }

    fn expected() -> String {
        let words: Vec<_> = Self::KEYWORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("one of {}", words.join(", "))
    }
}
