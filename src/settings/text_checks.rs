//! Checks of the text of setting values: line breaks, invisible characters and quotation marks that
//! editors, shells and compose files add.

use config::ValueKind;

/// Byte order mark, which some editors write at the start of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Pairs of quotation marks that a value may begin and end with by mistake.
const QUOTATION_MARKS: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’')];

/// Returns the text without a byte order mark at its start.
pub(super) fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Returns the text without a byte order mark at its start and without line breaks at its end.
pub(super) fn trimmed(text: &str) -> &str {
    without_byte_order_mark(text).trim_end_matches(['\r', '\n'])
}

/// Returns the first character of a text that a reader does not see, other than a space.
pub(super) fn invisible_in(text: &str) -> Option<char> {
    text.chars().find(|character| is_invisible(*character))
}

/// Returns the first invisible character in the value of a setting. In a list that is written as
/// text, line breaks and tabs may separate the items.
pub(super) fn invisible_in_value(kind: &ValueKind, is_list: bool) -> Option<char> {
    match kind {
        ValueKind::String(text) if is_list => {
            text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\t')).find(|c| is_invisible(*c))
        }
        ValueKind::String(text) => invisible_in(text),
        ValueKind::Array(items) => {
            items.iter().find_map(|item| invisible_in_value(&item.kind, false))
        }
        _ => None,
    }
}

/// Returns whether a text begins and ends with quotation marks.
pub(super) fn is_quoted(text: &str) -> bool {
    let mut inner = text.chars();
    let ends = inner.next().zip(inner.next_back());
    ends.is_some_and(|ends| QUOTATION_MARKS.contains(&ends))
}

/// Returns whether a character is a control character, a space other than U+0020, or of the general
/// category Cf (format) or one of the Hangul fillers, none of which a reader sees.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
