//! User names: which ones are valid, and which ones are the same (PRECIS, RFC 8265 §3).

use std::borrow::Cow;

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::{Profile, Rules};
use unicode_normalization::UnicodeNormalization;

use super::{ClientId, UserId};

/// Maximum length of a user name, in bytes of UTF-8.
pub const MAX_USERNAME_BYTES: usize = 255;

/// Beginnings of client ids that are no user names: URLs of client metadata documents, and ids of
/// dynamically registered clients.
pub const RESERVED_NAME_PREFIXES: [&str; 2] = ["https://", "dcr-"];

/// Error returned for a user name that violates the rules on length, characters and form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// The user name has a wrong length, a control character, or the form of an id.
    #[error(
        "expected a user name of 1 to {MAX_USERNAME_BYTES} bytes without control characters, and not 24 hexadecimal digits, which is an id"
    )]
    Malformed,
    /// The user name has a character or a sequence of characters that PRECIS does not allow.
    #[error(
        "expected a user name of letters, digits and ASCII punctuation, with single spaces between its parts; invisible characters, other symbols, and some mixtures of writing directions are not allowed (RFC 8265 section 3.3)"
    )]
    Disallowed,
    /// The user name begins with a prefix that is reserved for ids of clients.
    #[error("expected a user name that does not begin with {}, as ids of clients do", RESERVED_NAME_PREFIXES.join(" or "))]
    Reserved,
}

/// Checks the user name of a new user, and returns it without the spaces at its ends.
///
/// # Errors
/// [`InvalidUsername`] if the name is empty or exceeds [`MAX_USERNAME_BYTES`], cannot be folded
/// ([`fold_username`]), has the form of a user id, or begins with a prefix of client ids.
pub fn check_username(name: &str) -> Result<&str, InvalidUsername> {
    if name.len() > MAX_USERNAME_BYTES {
        return Err(InvalidUsername::Malformed);
    }
    let name = trim(name);
    check_kept_username(name)?;
    fold_username(name).map(|_| name).ok_or(InvalidUsername::Disallowed)
}

/// Checks the user name of an imported user. The name may be one that a new user could not have,
/// because the user could otherwise no longer log in.
///
/// # Errors
/// [`InvalidUsername`] if the name is empty, exceeds [`MAX_USERNAME_BYTES`], contains a control
/// character, has the form of a user id, or begins with a prefix of client ids.
pub fn check_kept_username(name: &str) -> Result<(), InvalidUsername> {
    let fits = !name.is_empty() && name.len() <= MAX_USERNAME_BYTES;
    let clean = !name.chars().any(char::is_control);
    let key = username_key(name);
    // Commands accept a name or an id, so a name must not look like the id of another user.
    let like_an_id = key.parse::<UserId>().is_ok();
    if !fits || !clean || like_an_id {
        return Err(InvalidUsername::Malformed);
    }
    let begins_with = |prefix: &str| {
        key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if RESERVED_NAME_PREFIXES.iter().any(|prefix| begins_with(prefix)) {
        return Err(InvalidUsername::Reserved);
    }
    Ok(())
}

/// Returns the key by which user names are compared: names with equal keys are the same name. The
/// key is the folded name ([`fold_username`]). A name that cannot be folded is its own key, and so
/// is compared octet by octet. No folded name equals such a key.
pub fn username_key(name: &str) -> String {
    fold_username(name).unwrap_or_else(|| name.to_owned())
}

/// Returns the folded user name, or `None` for a name that the profile does not allow. Spaces at
/// the ends are removed, and each part between single spaces is prepared, case-mapped and
/// normalized by the profile UsernameCaseMapped (RFC 8265 §3.3). RFC 8265 §3.1: "username =
/// userpart *(1*SP userpart)". Folding a folded name changes nothing.
pub fn fold_username(name: &str) -> Option<String> {
    let parts = trim(name).split(' ').map(fold_part);
    Some(parts.collect::<Option<Vec<_>>>()?.join(" "))
}

fn fold_part(part: &str) -> Option<String> {
    let profile = UsernameCaseMapped::new();
    let enforce = |text: &str| profile.enforce(text.to_owned()).ok().map(Cow::into_owned);
    // The profile normalizes last and refuses the letters of decomposed Korean names before that.
    let folded = enforce(&part.nfc().collect::<String>())?;
    // The profile maps a few capital letters to small ones that it refuses.
    (enforce(&folded).as_ref() == Some(&folded)).then_some(folded)
}

/// Returns the texts that a key ([`username_key`]) has in the place of `part`, a part of a user
/// name: one for names that were folded, and one for the others. Both may be equal.
pub fn username_key_parts(part: &str) -> [String; 2] {
    let profile = UsernameCaseMapped::new();
    // Without the checks of the profile, some of which no incomplete name passes.
    let text = trim(part).nfc().collect::<String>();
    let mapped = profile
        .width_mapping_rule(text)
        .and_then(|text| profile.case_mapping_rule(text))
        .and_then(|text| profile.normalization_rule(text));
    [mapped.map_or_else(|_| part.to_owned(), Cow::into_owned), part.to_owned()]
}

/// Returns whether a resource server could take the user with this name and id for `client`. It
/// names a principal by `username`, by `sub`, or by `client_id` if there is no user. The name is
/// compared as it is written and folded ([`username_key`]), and a client id, which is
/// case-sensitive, only as it is written.
pub fn is_same_principal(username: &str, id: Option<UserId>, client: &ClientId) -> bool {
    username == client.as_str()
        || username_key(username) == client.as_str()
        || id.is_some_and(|id| id.to_string() == client.as_str())
}

/// Removes the spaces (U+0020) at both ends of a user name.
fn trim(name: &str) -> &str {
    name.trim_matches(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_form_width_and_outer_spaces_do_not_distinguish_names() {
        for (left, right) in [
            ("alice", "Alice"),
            ("alice", "  ALICE "),
            ("Zo\u{eb}", "ZOE\u{308}"),
            ("\u{212b}sa", "\u{e5}sa"),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"),
            ("\u{ff41}lice", "alice"),
            ("J. DOE", "j. doe"),
            ("\u{39c}\u{391}\u{3a1}\u{399}\u{391}", "\u{3bc}\u{3b1}\u{3c1}\u{3b9}\u{3b1}"),
        ] {
            assert!(fold_username(left).is_some(), "{left:?}");
            assert_eq!(fold_username(left), fold_username(right), "{left:?} {right:?}");
        }
        assert_ne!(fold_username("alice"), fold_username("al ice"));
    }

    #[test]
    fn names_with_invisible_or_control_characters_are_not_folded() {
        for name in [
            "",
            " ",
            "a  b",
            "a\tb",
            "a\u{200b}b",
            "a\u{200d}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{ad}b",
            "\u{feff}a",
            "a\u{a0}b",
            "a\u{3000}b",
            "a\u{e0041}",
            "a\u{fe0f}",
            "a\0",
            "a\u{85}",
        ] {
            assert_eq!(fold_username(name), None, "{name:?}");
            assert_eq!(username_key(name), name);
            assert!(check_username(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn reserved_forms_are_found_in_any_case_and_width() {
        let wide = |text: &str| -> String {
            let shifted = text.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap());
            shifted.collect()
        };
        for name in ["DCR-1", "Https://x", &wide("dcr-1"), &wide("https://x")] {
            assert_eq!(check_username(name), Err(InvalidUsername::Reserved), "{name}");
        }
        let id = wide("0123456789abcdef01234567");
        assert_eq!(check_kept_username(&id), Err(InvalidUsername::Malformed));
    }

    proptest! {
        #[test]
        fn folding_is_idempotent_and_ignores_form_and_case(name in "\\PC{0,12}") {
            let key = username_key(&name);
            prop_assert_eq!(username_key(&key), key.clone());
            if let Some(folded) = fold_username(&name) {
                let decomposed = fold_username(&name.nfd().collect::<String>());
                prop_assert_eq!(decomposed.as_deref(), Some(folded.as_str()));
                let spaced = fold_username(&format!(" {name}  "));
                prop_assert_eq!(spaced.as_deref(), Some(folded.as_str()));
                prop_assert_eq!(fold_username(&folded.to_ascii_uppercase()), Some(folded));
            }
        }

        #[test]
        fn any_beginning_of_a_name_finds_it(name in "[a-zA-Z\u{c0}-\u{17f} .’]{1,8}", at in 0_usize..8) {
            let prefix: String = name.chars().take(at).collect();
            let key = username_key(&name);
            prop_assert!(username_key_parts(&prefix).iter().any(|start| key.starts_with(start)));
        }
    }
}
