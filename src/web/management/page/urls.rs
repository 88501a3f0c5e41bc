//! URLs of pages.
//!
//! Links, styles and redirects are relative references (RFC 3986 §4.2): they work wherever a proxy
//! serves the page, such as below the path of `server.public_url`, and without a proxy.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// ASCII characters that are percent-encoded in URLs: all but the unreserved ones (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a relative reference to the management page's path `base`, without a trailing slash, for
/// use on the page at the URL path `at`.
pub(super) fn relative(base: &str, at: &str) -> String {
    let slashes = |path: &str| path.matches('/').count();
    match slashes(at).saturating_sub(slashes(base)) {
        // Without a slash at the end, references are relative to the folder that has the page.
        0 => format!("./{}", at.rsplit('/').next().unwrap_or_default()),
        1 => ".".to_owned(),
        below => vec![".."; below - 1].join("/"),
    }
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Returns a path with percent-encoded query parameters. Empty parameters are left out.
pub(super) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut link = path.to_owned();
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    for (index, (name, value)) in given.enumerate() {
        link.push(if index == 0 { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        link.push_str(&encoded(value));
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_reference_leads_from_every_page_to_the_first() {
        for (base, at, expected) in [
            ("/oauth/management", "/oauth/management", "./management"),
            ("/oauth/management", "/oauth/management/", "."),
            ("/oauth/management", "/oauth/management/users", "."),
            ("/oauth/management", "/oauth/management/users/x", ".."),
            ("/oauth/management", "/oauth/management/users/x/delete", "../.."),
            ("", "/", "."),
            ("", "/users/x", ".."),
            ("/a:b", "/a:b", "./a:b"),
        ] {
            assert_eq!(relative(base, at), expected, "{at}");
        }
    }
}
