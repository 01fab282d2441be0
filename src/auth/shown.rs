//! The token that a request shows, by one rule for every edge: two of a kind are none.

use std::borrow::Cow;

/// The token of a request: the one `token` of `query`, where a token may stand, else that of the
/// one header in `authorization`. With more than one of either there is no telling whom to believe,
/// and `None` is given, as without any.
pub fn shown_token<'a>(
    authorization: impl IntoIterator<Item = &'a [u8]>,
    query: Option<&'a str>,
) -> Option<Cow<'a, str>> {
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let in_query = query.filter_map(|(name, token)| (name == "token").then_some(token));
    let header = at_most_one(authorization).ok()?;
    match at_most_one(in_query).ok()? {
        Some(token) => Some(token),
        None => bearer(header?).map(Cow::Borrowed),
    }
}

/// More than one.
struct Several;

fn at_most_one<T>(all: impl IntoIterator<Item = T>) -> Result<Option<T>, Several> {
    let mut all = all.into_iter();
    let first = all.next();
    if all.next().is_some() { Err(Several) } else { Ok(first) }
}

/// The token of `Bearer TOKEN`; white space around it is no part of a header's value.
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(header).ok()?.trim_ascii().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(headers: &[&'a str], query: &'a str) -> Option<Cow<'a, str>> {
        shown_token(headers.iter().map(|header| header.as_bytes()), Some(query))
    }

    #[test]
    fn the_header_is_a_bearer_token_whatever_the_case_of_its_scheme() {
        for good in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer abc "] {
            assert_eq!(shown(&[good], "").as_deref(), Some("abc"), "{good}");
        }
        for bad in [&[][..], &["abc"], &["Basic abc"], &["Bearer"], &["Bearer\u{a0}abc"]] {
            assert_eq!(shown(bad, ""), None, "{bad:?}");
        }
    }

    #[test]
    fn the_query_goes_before_the_header() {
        assert_eq!(shown(&[], "a=1&token=x%2By").as_deref(), Some("x+y"));
        assert_eq!(shown(&["Bearer abc"], "token=x").as_deref(), Some("x"));
        assert_eq!(shown(&["Basic abc"], "token=x").as_deref(), Some("x"));
        assert_eq!(shown(&["Bearer abc"], "token=").as_deref(), Some(""), "which is no valid one");
    }

    #[test]
    fn two_of_a_kind_are_none() {
        assert_eq!(shown(&["Bearer a", "Bearer a"], ""), None);
        assert_eq!(shown(&[], "token=a&token=a"), None);
        assert_eq!(shown(&["Bearer a"], "token=a&x=1&token=a"), None);
        assert_eq!(shown(&["Bearer a", "Bearer a"], "token=a"), None);
    }
}
