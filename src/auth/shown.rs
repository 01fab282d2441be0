//! The token that a request shows, by one rule for every edge.
//!
//! A token that a program gives on purpose, in the address (where one may stand) or in its header,
//! is believed wherever the request comes from. A cookie is not given but added by the browser,
//! whoever's page asks; so it counts only where nothing else is shown, and only for the server's
//! own page: [`Origins::are_own`]. Two tokens that were given are none: there is no telling which
//! to believe. Of cookies there can be several without anybody's doing wrong here, since what runs
//! under a neighbouring name can set one of ours: which of them is good, whoever knows sessions
//! finds out.

use std::borrow::Cow;

use super::Origins;
use crate::domain::limits::SESSION_COOKIES;
use crate::domain::{WebOrigin, is_loopback_host};

/// The cookie that holds a session's token.
pub const SESSION_COOKIE: &str = "parlor_session";

/// One header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    Absent,
    One(&'a [u8]),
    Several,
}

impl<'a> Header<'a> {
    pub fn of(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        match at_most_one(values) {
            Ok(None) => Self::Absent,
            Ok(Some(value)) => Self::One(value),
            Err(Several) => Self::Several,
        }
    }

    /// The one value, if it is text.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        if let Self::One(value) = self { std::str::from_utf8(value).ok() } else { None }
    }

    /// The page that an `Origin` names, if it names one.
    pub(super) fn web_origin(self) -> Option<WebOrigin> {
        self.text().and_then(WebOrigin::parse)
    }
}

/// What a request says about who asks, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub authorization: Header<'a>,
    pub cookie: Header<'a>,
    pub origin: Header<'a>,
    pub sec_fetch_site: Header<'a>,
    pub host: Header<'a>,
    /// The query, where a token may stand in it.
    pub query: Option<&'a str>,
    /// Whether all it can do is read: a GET or HEAD, and no socket.
    pub reads: bool,
    /// Whether somebody on the way says to have passed it on.
    pub passed_on: bool,
}

/// Headers by which proxies say so.
const PASSED_ON: [&str; 8] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
];

impl<'a> Facts<'a> {
    /// `header`: all values of the header of this name.
    pub fn gather<V: AsRef<[u8]> + ?Sized + 'a, I: IntoIterator<Item = &'a V>>(
        header: impl Fn(&'static str) -> I,
        query: Option<&'a str>,
        reads: bool,
    ) -> Self {
        let one = |name| Header::of(header(name).into_iter().map(AsRef::as_ref));
        Self {
            authorization: one("authorization"),
            cookie: one("cookie"),
            origin: one("origin"),
            sec_fetch_site: one("sec-fetch-site"),
            host: one("host"),
            query,
            reads,
            passed_on: PASSED_ON.iter().any(|name| one(name) != Header::Absent),
        }
    }

    /// Whether it is from the machine that the server runs on, by all that it says: under one of
    /// that machine's own names, from no page under another but the `public` one, and passed on by
    /// nobody.
    #[must_use]
    pub fn are_from_here(&self, public: Option<&WebOrigin>) -> bool {
        let page_is_here = match self.origin {
            Header::Absent => true,
            origin => origin
                .web_origin()
                .is_some_and(|origin| origin.is_loopback() || Some(&origin) == public),
        };
        page_is_here && self.host.text().is_some_and(is_loopback_host) && !self.passed_on
    }
}

/// A token, and how it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown<'a> {
    Token(Cow<'a, str>),
    /// One or more, of which one may be the session's.
    Cookies(Vec<&'a str>),
}

impl Shown<'_> {
    /// At least one.
    #[must_use]
    pub fn tokens(&self) -> Vec<&str> {
        match self {
            Self::Token(token) => vec![token],
            Self::Cookies(tokens) => tokens.clone(),
        }
    }
}

/// Why a request shows no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotShown {
    Nothing,
    /// A cookie that came from elsewhere than the server's own page.
    Foreign,
}

impl Origins {
    /// The one `token` of the query, else that of the one `Authorization`, else the cookie's. The
    /// log is told of a cookie that does not count: whoever put a proxy in between looks there.
    ///
    /// # Errors
    /// When there is none, or a cookie that does not count.
    pub fn shown<'a>(&self, facts: &Facts<'a>) -> Result<Shown<'a>, NotShown> {
        let query = form_urlencoded::parse(facts.query.unwrap_or_default().as_bytes());
        let in_query = query.filter_map(|(name, token)| (name == "token").then_some(token));
        match (at_most_one(in_query), facts.authorization) {
            (Err(Several), _) | (_, Header::Several) => Err(NotShown::Nothing),
            (Ok(Some(token)), _) => Ok(Shown::Token(token)),
            (Ok(None), Header::One(header)) => {
                let token = bearer(header).ok_or(NotShown::Nothing)?;
                Ok(Shown::Token(token.into()))
            }
            (Ok(None), Header::Absent) => {
                let tokens = session_cookies(facts.cookie);
                if tokens.is_empty() {
                    return Err(NotShown::Nothing);
                }
                if self.are_own(facts) {
                    return Ok(Shown::Cookies(tokens));
                }
                let (origin, host) = (facts.origin.text(), facts.host.text());
                tracing::info!(origin, host, "a cookie from another origin was not taken");
                Err(NotShown::Foreign)
            }
        }
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

/// The session's cookies among whatever other programs of the same host have set.
fn session_cookies(header: Header<'_>) -> Vec<&str> {
    let Header::One(cookies) = header else { return Vec::new() };
    let pairs = cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let of_ours =
        |pair| <[u8]>::strip_prefix(pair, SESSION_COOKIE.as_bytes())?.strip_prefix(b"=".as_slice());
    let tokens = pairs.filter_map(of_ours).filter_map(|token| std::str::from_utf8(token).ok());
    tokens.take(SESSION_COOKIES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Facts<'_> = Facts {
        authorization: Header::Absent,
        cookie: Header::Absent,
        origin: Header::Absent,
        sec_fetch_site: Header::One(b"same-origin"),
        host: Header::One(b"chat.example.org"),
        query: None,
        reads: true,
        passed_on: false,
    };

    fn shown(facts: Facts<'_>) -> Option<Shown<'_>> {
        Origins::default().shown(&facts).ok()
    }

    fn token(headers: &[&str], query: &str) -> Option<String> {
        let authorization = Header::of(headers.iter().map(|header| header.as_bytes()));
        let shown = shown(Facts { authorization, query: Some(query), ..NOTHING });
        shown.map(|shown| shown.tokens().concat())
    }

    fn cookie(header: &[u8]) -> Option<String> {
        let shown = shown(Facts { cookie: Header::One(header), ..NOTHING })?;
        assert!(matches!(shown, Shown::Cookies(_)), "{shown:?}");
        Some(shown.tokens().join(" "))
    }

    #[test]
    fn the_header_is_a_bearer_token_whatever_the_case_of_its_scheme() {
        for good in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer abc "] {
            assert_eq!(token(&[good], "").as_deref(), Some("abc"), "{good}");
        }
        for bad in [&[][..], &["abc"], &["Basic abc"], &["Bearer"], &["Bearer\u{a0}abc"]] {
            assert_eq!(token(bad, ""), None, "{bad:?}");
        }
    }

    #[test]
    fn the_query_goes_before_the_header() {
        assert_eq!(token(&[], "a=1&token=x%2By").as_deref(), Some("x+y"));
        assert_eq!(token(&["Bearer abc"], "token=x").as_deref(), Some("x"));
        assert_eq!(token(&["Basic abc"], "token=x").as_deref(), Some("x"));
        assert_eq!(token(&["Bearer abc"], "token=").as_deref(), Some(""), "which is no valid one");
    }

    #[test]
    fn two_that_are_given_are_none() {
        assert_eq!(token(&["Bearer a", "Bearer a"], ""), None);
        assert_eq!(token(&[], "token=a&token=a"), None);
        assert_eq!(token(&["Bearer a"], "token=a&x=1&token=a"), None);
        assert_eq!(token(&["Bearer a", "Bearer a"], "token=a"), None);
        assert_eq!(shown(Facts { cookie: Header::Several, ..NOTHING }), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for good in [
            &b"parlor_session=abc"[..],
            b"a=1; parlor_session=abc; b=2",
            b"a=1;parlor_session=abc",
            b" parlor_session=abc ;",
            b"a=\xff; parlor_session=abc",
            b"parlor_session_2=x; parlor_session=abc; xparlor_session=y",
        ] {
            assert_eq!(cookie(good).as_deref(), Some("abc"), "{good:?}");
        }
        assert_eq!(cookie(b"parlor_session=").as_deref(), Some(""), "which is no valid one");
        for bad in [&b""[..], b"parlor_session", b"Parlor_Session=abc", b"parlor_session=\xff"] {
            assert_eq!(cookie(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn some_cookies_of_one_name_are_looked_at() {
        let several = b"parlor_session=a; other=x; parlor_session=b;parlor_session=c";
        assert_eq!(cookie(several).as_deref(), Some("a b c"));
        let many = "parlor_session=a;".repeat(SESSION_COOKIES + 1);
        assert_eq!(cookie(many.as_bytes()).unwrap().len(), 2 * SESSION_COOKIES - 1);
    }

    #[test]
    fn whatever_stands_in_the_header_goes_before_the_cookie() {
        let both = |authorization: &'static str| Facts {
            authorization: Header::One(authorization.as_bytes()),
            cookie: Header::One(b"parlor_session=cookie"),
            ..NOTHING
        };
        let given = Shown::Token("given".into());
        assert_eq!(shown(both("Bearer given")), Some(given.clone()));
        assert_eq!(shown(both("Basic abc")), None);
        let in_query = Facts { query: Some("token=given"), ..both("") };
        assert_eq!(shown(Facts { authorization: Header::Absent, ..in_query }), Some(given));
    }

    /// Once only the listener's address was looked at, which says nothing about who stands behind a
    /// proxy on the same machine, or which page a browser there shows.
    #[test]
    fn what_is_from_here_says_so_in_every_way() {
        let said = |host: &str, further: &[(&str, &str)]| {
            let header = |name: &str| {
                let host = (name == "host").then_some(host);
                let further = further.iter().find(|(header, _)| *header == name);
                host.or(further.map(|(_, value)| *value)).map(str::as_bytes)
            };
            Facts::gather(header, None, false).are_from_here(None)
        };
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8080"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert!(said(host, &[]), "{host}");
            assert!(said("localhost", &[("origin", origin)]), "{origin}");
        }
        for host in ["chat.example.org", "evil.example:8080", "192.168.1.5:8080", ""] {
            assert!(!said(host, &[]), "{host}");
        }
        let here = "127.0.0.1:8080";
        for further in [
            &[("origin", "https://chat.example.org")][..],
            &[("origin", "null")],
            &[("forwarded", "for=192.0.2.1")],
            &[("via", "1.1 proxy")],
            &[("x-forwarded-for", "127.0.0.1")],
            &[("x-forwarded-host", "localhost")],
            &[("x-real-ip", "192.0.2.1")],
        ] {
            assert!(!said(here, further), "{further:?}");
        }
    }
}
