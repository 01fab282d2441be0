//! Which pages may do what: the server's own, whose browser may show the session's cookie, and
//! others that the operator lets call the API with a token.

use super::{Facts, Header};
use crate::domain::{WebOrigin, is_loopback_host};

/// What the operator says about where pages come from.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Under which browsers find the server; `None`: under whatever their `Host` header says.
    pub public: Option<WebOrigin>,
    /// Other origins, which may show tokens but never the cookie.
    pub allowed: Vec<WebOrigin>,
    /// Whether the server listens for its own machine alone.
    pub local: bool,
}

/// Why a page that signs in, or up, is given nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// It is not the server's own and wants the cookie.
    Foreign,
    /// It came over plain HTTP, where browsers do not keep the cookie.
    Plain(WebOrigin),
    /// Its name is not this machine's, for which alone the server is there.
    Misnamed(Option<WebOrigin>),
}

impl Origins {
    /// Whether a request is from the server's own page, as its browser says.
    ///
    /// `Origin` says it best: it has to be the public one or, where none is set, to go with `Host`.
    /// That has no scheme, so `http` and `https` cannot be told apart by it. Browsers leave out
    /// `Origin` where a page reads from its own server; then `Sec-Fetch-Site` says it. Where the
    /// server is public over plain HTTP they leave out both, and what only reads is taken: another
    /// page could cause it but not see the answer.
    #[must_use]
    pub fn are_own(&self, facts: &Facts<'_>) -> bool {
        match (facts.origin, facts.sec_fetch_site) {
            (Header::One(_), _) => self.is_own(facts.origin, facts.host),
            (Header::Absent, Header::One(site)) => site == b"same-origin",
            (Header::Absent, Header::Absent) => facts.reads && self.browsers_say_little(),
            (Header::Several, _) | (_, Header::Several) => false,
        }
    }

    fn is_own(&self, origin: Header<'_>, host: Header<'_>) -> bool {
        let Some(origin) = origin.web_origin() else { return false };
        match &self.public {
            Some(public) => origin == *public,
            None => host.text().is_some_and(|host| origin.is_reached_as(host)),
        }
    }

    /// `Sec-Fetch-Site` is sent only where nobody on the way can change it.
    fn browsers_say_little(&self) -> bool {
        self.public.as_ref().is_some_and(|public| !public.is_https() && !public.is_loopback())
    }

    /// Whether whoever signs in may be given the cookie, or (without `cookie`) a token.
    ///
    /// The cookie is for the server's own page, and for programs, which say nothing of pages:
    /// another page would sign its visitor in to an account of its choice. And it is for pages
    /// whose browser keeps it.
    ///
    /// Nor is every page the server's own that seems to be. Whoever owns a name can have it lead to
    /// the visitor's own machine; then its page reaches a server that only this machine should, and
    /// its `Origin` goes with its `Host`. Such a page came over plain HTTP, since it comes from
    /// where this server stands; it gets nothing unless it is public or allowed.
    ///
    /// # Errors
    /// When it may not.
    pub fn admit(&self, facts: &Facts<'_>, cookie: bool) -> Result<(), Withheld> {
        let says_nothing = (facts.origin, facts.sec_fetch_site) == (Header::Absent, Header::Absent);
        if cookie && !says_nothing && !self.are_own(facts) {
            return Err(Withheld::Foreign);
        }
        let origin = facts.origin.web_origin();
        match origin {
            Some(origin) if cookie && self.are_secure(facts.host) && is_plain(&origin) => {
                Err(Withheld::Plain(origin))
            }
            origin if self.is_misnamed(facts, origin.as_ref()) => Err(Withheld::Misnamed(origin)),
            _ => Ok(()),
        }
    }

    fn is_misnamed(&self, facts: &Facts<'_>, origin: Option<&WebOrigin>) -> bool {
        let is_fine = |origin: &WebOrigin| !is_plain(origin) || self.allowed.contains(origin);
        self.local
            && self.public.as_ref().is_none_or(WebOrigin::is_loopback)
            && facts.origin != Header::Absent
            && !facts.host.text().is_some_and(is_loopback_host)
            && !origin.is_some_and(is_fine)
    }

    /// Whether this may make the first account, the admin's, without a code: where the server
    /// listens for its own machine alone, who is on that may.
    #[must_use]
    pub fn may_be_first(&self, facts: &Facts<'_>) -> bool {
        self.local && facts.are_from_here(self.public.as_ref())
    }

    /// Whether the cookie is kept to HTTPS: it is, unless the server is public over plain HTTP or,
    /// where nothing is said about that, the browser runs on the server's own machine.
    #[must_use]
    pub fn are_secure(&self, host: Header<'_>) -> bool {
        match &self.public {
            Some(public) => public.is_https(),
            None => !host.text().is_some_and(is_loopback_host),
        }
    }

    /// Whether a page of this origin, not the server's own, may call the API with a token.
    #[must_use]
    pub fn allow(&self, origin: Header<'_>) -> bool {
        origin.web_origin().is_some_and(|origin| self.allowed.contains(&origin))
    }
}

/// Whether the page came over HTTP from somewhere else than the browser's own machine.
fn is_plain(origin: &WebOrigin) -> bool {
    !origin.is_https() && !origin.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::super::{NotShown, Shown};
    use super::*;

    fn origin(text: &str) -> WebOrigin {
        WebOrigin::parse(text).unwrap()
    }

    /// Every kind of `Origin` that the tables below speak of.
    const ORIGINS: [(&str, Header<'_>); 7] = [
        ("absent", Header::Absent),
        ("same", Header::One(b"https://chat.example.org")),
        ("other scheme", Header::One(b"http://chat.example.org")),
        ("other port", Header::One(b"https://chat.example.org:8443")),
        ("other", Header::One(b"https://evil.example")),
        ("null", Header::One(b"null")),
        ("several", Header::Several),
    ];

    struct Place {
        public: Option<&'static str>,
        host: Header<'static>,
        /// Which of [`ORIGINS`] are the server's own here.
        own: &'static [&'static str],
        /// Whether a read without `Origin` and `Sec-Fetch-Site` is taken.
        bare_reads: bool,
    }

    const fn place(
        public: Option<&'static str>,
        host: Header<'static>,
        own: &'static [&'static str],
    ) -> Place {
        Place { public, host, own, bare_reads: false }
    }

    const HTTPS: Option<&str> = Some("https://chat.example.org");
    const HTTPS_8443: Option<&str> = Some("https://chat.example.org:8443");
    const HTTP: Option<&str> = Some("http://chat.example.org");
    const LOOPBACK: Option<&str> = Some("http://localhost:8080");

    const PLACES: [Place; 16] = [
        // Nothing is set: the host decides, and with it the port.
        place(None, Header::One(b"chat.example.org"), &["same", "other scheme"]),
        place(None, Header::One(b"CHAT.example.org:443"), &["same"]),
        place(None, Header::One(b"chat.example.org:80"), &["other scheme"]),
        place(None, Header::One(b"chat.example.org:8443"), &["other port"]),
        // A proxy that names itself or the server instead of what the browser asked for.
        place(None, Header::One(b"127.0.0.1:8080"), &[]),
        place(None, Header::One(b"evil.example"), &["other"]),
        place(None, Header::One(b"chat.example.org/"), &[]),
        place(None, Header::One(b"\xff"), &[]),
        place(None, Header::Absent, &[]),
        place(None, Header::Several, &[]),
        // It is set: the host says nothing any more.
        place(HTTPS, Header::One(b"chat.example.org"), &["same"]),
        place(HTTPS, Header::One(b"127.0.0.1:8080"), &["same"]),
        place(HTTPS, Header::One(b"evil.example"), &["same"]),
        place(HTTPS_8443, Header::Absent, &["other port"]),
        Place { bare_reads: true, ..place(HTTP, Header::Several, &["other scheme"]) },
        place(LOOPBACK, Header::One(b"localhost:8080"), &[]),
    ];

    /// Each kind of credential: the header, the query, the cookie, and what is shown if the request
    /// is from the server's own page and if not.
    type Credential = (Header<'static>, Option<&'static str>, Header<'static>, Verdict, Verdict);
    type Verdict = Result<Shown<'static>, NotShown>;

    fn credentials() -> [Credential; 9] {
        let bearer = Header::One(b"Bearer given".as_slice());
        let cookie = Header::One(b"parlor_session=kept".as_slice());
        let given = || Ok(Shown::Token("given".into()));
        let (kept, nothing) = (Ok(Shown::Cookies(vec!["kept"])), Err(NotShown::Nothing));
        let (absent, in_query) = (Header::Absent, Some("token=given"));
        [
            (absent, None, absent, nothing.clone(), nothing.clone()),
            (bearer, None, absent, given(), given()),
            (absent, in_query, absent, given(), given()),
            (absent, None, cookie, kept, Err(NotShown::Foreign)),
            (bearer, None, cookie, given(), given()),
            (absent, in_query, cookie, given(), given()),
            (bearer, in_query, cookie, given(), given()),
            (Header::One(b"Basic x"), None, cookie, nothing.clone(), nothing.clone()),
            (Header::Several, None, cookie, nothing.clone(), nothing),
        ]
    }

    /// Every combination of credential, `Origin`, `Sec-Fetch-Site`, `Host`, public URL, and of what
    /// only reads with what does not.
    #[test]
    fn a_cookie_counts_on_the_servers_own_page_and_what_is_given_counts_anywhere() {
        let sites: [(Header<'_>, Option<bool>); 6] = [
            (Header::Absent, None),
            (Header::One(b"same-origin"), Some(true)),
            (Header::One(b"same-site"), Some(false)),
            (Header::One(b"cross-site"), Some(false)),
            (Header::One(b"none"), Some(false)),
            (Header::Several, Some(false)),
        ];
        let mut combinations = 0;
        for Place { public, host, own, bare_reads } in PLACES {
            let origins = Origins {
                public: public.map(origin),
                allowed: vec![origin("https://evil.example")],
                local: false,
            };
            for (what, origin) in ORIGINS {
                for (site, says) in sites {
                    for reads in [false, true] {
                        let from_own = match (what, says) {
                            ("absent", None) => reads && bare_reads,
                            ("absent", Some(same)) => same,
                            _ => own.contains(&what),
                        };
                        for (authorization, query, cookie, ours, theirs) in credentials() {
                            let facts = Facts {
                                authorization,
                                cookie,
                                origin,
                                sec_fetch_site: site,
                                host,
                                query,
                                reads,
                                passed_on: false,
                            };
                            let expected = if from_own { ours } else { theirs };
                            let told = format!("{public:?} {facts:?}");
                            assert_eq!(origins.shown(&facts), expected, "{told}");
                            let silent = what == "absent" && says.is_none();
                            let plain = what == "other scheme" && origins.are_secure(host);
                            let given = match (from_own || silent, plain) {
                                (false, _) => Err(Withheld::Foreign),
                                (true, false) => Ok(()),
                                (true, true) => Err(Withheld::Plain(origin.web_origin().unwrap())),
                            };
                            assert_eq!(origins.admit(&facts, true), given, "{told}");
                            assert_eq!(origins.admit(&facts, false), Ok(()), "{told}");
                            combinations += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(combinations, 16 * 7 * 6 * 2 * 9);
    }

    #[test]
    fn the_cookie_is_kept_to_https_but_where_there_is_none() {
        for (public, host, secure) in [
            (None, "chat.example.org", true),
            (None, "192.168.1.5:8080", true),
            (None, "127.0.0.1:8080", false),
            (None, "localhost:8080", false),
            (None, "[::1]:8080", false),
            (None, "", true),
            (HTTPS, "127.0.0.1:8080", true),
            (HTTP, "chat.example.org", false),
            (LOOPBACK, "localhost:8080", false),
        ] {
            let origins = Origins { public: public.map(origin), ..Origins::default() };
            let told = origins.are_secure(Header::One(host.as_bytes()));
            assert_eq!(told, secure, "{public:?} {host}");
        }
        assert!(Origins::default().are_secure(Header::Absent));
        assert!(Origins::default().are_secure(Header::Several));
    }

    /// Once a page under whichever name could sign up on a server that is there for one machine's
    /// own people, and read all rooms, if that name led to their machine.
    #[test]
    fn a_server_for_one_machine_gives_nothing_to_a_page_under_another_name() {
        let local = |public: Option<&str>| Origins {
            public: public.map(origin),
            allowed: vec![origin("http://app.lan")],
            local: true,
        };
        let page = |host: &'static str, origin: &'static str| {
            let header = |name: &str| match name {
                "host" => Some(host.as_bytes()),
                "origin" if !origin.is_empty() => Some(origin.as_bytes()),
                _ => None,
            };
            Facts::gather(header, None, false)
        };
        let name = "evil.example:8080";
        for (host, from, reason) in [
            (name, "http://evil.example:8080", Some(origin("http://evil.example:8080"))),
            (name, "null", None),
            (name, "http://evil.example:9090", Some(origin("http://evil.example:9090"))),
        ] {
            let withheld = local(None).admit(&page(host, from), false);
            assert_eq!(withheld, Err(Withheld::Misnamed(reason)), "{from}");
            assert_eq!(
                Origins { local: false, ..local(None) }.admit(&page(host, from), false),
                Ok(())
            );
        }
        for (public, host, from) in [
            (None, "localhost:8080", "http://localhost:8080"),
            (None, "127.0.0.1:8080", "http://localhost:5173"),
            // A proxy for TLS that leaves `Host` as it came, and one that does not.
            (None, "chat.example.org", "https://chat.example.org"),
            (None, "127.0.0.1:8080", "https://chat.example.org"),
            // Programs, and pages that the operator lists.
            (None, "chat.example.org", ""),
            (None, "parlor.lan", "http://app.lan"),
            (HTTP, "chat.example.org", "http://chat.example.org"),
        ] {
            assert_eq!(local(public).admit(&page(host, from), false), Ok(()), "{host} {from}");
        }
        assert!(local(None).may_be_first(&page("localhost:8080", "")));
        assert!(!local(None).may_be_first(&page("chat.example.org", "")));
        let others = Origins { local: false, ..local(None) };
        assert!(!others.may_be_first(&page("localhost:8080", "")), "the code decides");
        for (from, expected) in [
            ("", true),
            ("https://chat.example.org", true),
            ("http://localhost:8080", true),
            ("https://evil.example", false),
        ] {
            let told = local(HTTPS).may_be_first(&page("localhost:8080", from));
            assert_eq!(told, expected, "{from}");
        }
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let allowed = vec![origin("https://app.example.com"), origin("http://localhost:5173")];
        let origins = Origins { public: HTTPS.map(origin), allowed, local: false };
        let allow = |text: &str| origins.allow(Header::One(text.as_bytes()));
        assert!(allow("https://app.example.com") && allow("http://localhost:5173"));
        for other in ["https://app.example.com:444", "http://app.example.com", "null", "*", ""] {
            assert!(!allow(other), "{other}");
        }
        assert!(!allow("https://chat.example.org"), "its own page needs no leave");
        assert!(!origins.allow(Header::Absent) && !origins.allow(Header::Several));
    }
}
