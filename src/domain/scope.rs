//! Scopes (RFC 6749 §3.3).

use std::fmt;
use std::str::FromStr;

/// A set of scope tokens (RFC 6749 §3.3), whose order and repetition have no meaning.
// Held as one sorted text without duplicates: every look-up of a session reads a scope, and a text
// is one allocation where a set would be one per token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(String);

/// Error returned for a text that is not a valid scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected scope tokens of printable ASCII without `\"` and `\\`, separated by single spaces"
)]
pub struct InvalidScope;

impl Scope {
    /// Returns the empty scope.
    pub const fn empty() -> Self {
        Self(String::new())
    }

    /// Returns whether the scope contains no scope token.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether every scope token of `self` is also in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|token| other.contains(token))
    }

    /// Returns the scope tokens that are in both scopes.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|token| other.contains(token)).collect()
    }

    /// Returns the scope tokens that are in either scope.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// Returns the scope tokens, in sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Returns the scope tokens in sorted order, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn contains(&self, token: &str) -> bool {
        self.iter().any(|own| own == token)
    }
}

/// Collects scope tokens into a scope. The tokens must be valid, since they are not checked again.
impl<'a> FromIterator<&'a str> for Scope {
    fn from_iter<I: IntoIterator<Item = &'a str>>(tokens: I) -> Self {
        let mut tokens: Vec<&str> = tokens.into_iter().collect();
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens.join(" "))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Returns whether the text is a scope token: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )` (RFC
/// 6749 §3.3).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

impl FromStr for Scope {
    type Err = InvalidScope;

    /// Parses a scope, `scope-token *( SP scope-token )`. The empty text is the empty scope.
    /// Superfluous spaces are accepted, because clients send them and their meaning is unambiguous.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_in_order(text) {
            return Ok(Self(text.to_owned()));
        }
        let tokens = || text.split(' ').filter(|token| !token.is_empty());
        if tokens().all(is_token) { Ok(tokens().collect()) } else { Err(InvalidScope) }
    }
}

/// Returns whether the text is a scope in canonical form: valid tokens, sorted and without
/// duplicates. A non-empty scope from a store is always canonical.
fn is_in_order(text: &str) -> bool {
    let mut last = "";
    text.split(' ').all(|token| {
        let next = last < token && is_token(token);
        last = token;
        next
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn parsing_ignores_order_duplicates_and_extra_spaces() {
        let scope: Scope = " write  read write ".parse().unwrap();
        assert_eq!(scope.as_str(), "read write");
        assert_eq!("".parse(), Ok(Scope::empty()));
        assert_eq!("a\"b".parse::<Scope>(), Err(InvalidScope));
        assert_eq!("a\tb".parse::<Scope>(), Err(InvalidScope));
    }

    proptest! {
        #[test]
        fn scope_operations_match_those_of_token_sets(a in "[a-c ]{0,12}", b in "[a-c ]{0,12}") {
            let set = |text: &str| -> BTreeSet<String> {
                text.split(' ').filter(|t| !t.is_empty()).map(str::to_owned).collect()
            };
            let texts = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
            let (one, two): (Scope, Scope) = (a.parse().unwrap(), b.parse().unwrap());
            let (one_set, two_set) = (set(&a), set(&b));
            prop_assert_eq!(one.is_subset(&two), one_set.is_subset(&two_set));
            prop_assert_eq!(one.as_str(), texts(one_set.clone()));
            let both: BTreeSet<_> = one_set.intersection(&two_set).cloned().collect();
            let either: BTreeSet<_> = one_set.union(&two_set).cloned().collect();
            let (intersection, union) = (one.intersection(&two), one.union(&two));
            prop_assert_eq!(intersection.as_str(), texts(both));
            prop_assert_eq!(union.as_str(), texts(either));
        }
    }
}
