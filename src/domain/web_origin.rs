//! Where a page on the web is from: scheme, host and port.

use std::fmt;

use super::limits::HOST_BYTES;

/// An origin as browsers compare them: in lower case, its port always known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: Scheme,
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl WebOrigin {
    /// `https://chat.example.org` or `http://[::1]:8080`: a scheme, a host, perhaps a port, and
    /// nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let (host, port) = host_and_port(rest)?;
        Some(Self { scheme, host, port: port.unwrap_or(scheme.default_port()) })
    }

    /// Whether a page of this origin reaches its server under this `Host` header. That has no
    /// scheme; a port that it leaves out is the usual one of this origin's.
    #[must_use]
    pub fn is_reached_as(&self, host_header: &str) -> bool {
        host_and_port(host_header).is_some_and(|(host, port)| {
            host == self.host && port.unwrap_or(self.scheme.default_port()) == self.port
        })
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether only a machine's own browser can mean it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Whether a `Host` header names the machine on which the browser itself runs.
#[must_use]
pub fn is_loopback_host(host_header: &str) -> bool {
    host_and_port(host_header).is_some_and(|(host, _)| is_loopback(&host))
}

fn is_loopback(host: &str) -> bool {
    let is_v4 = || {
        let parts: Vec<_> = host.split('.').map(str::parse::<u8>).collect();
        parts.len() == 4 && parts[0] == Ok(127) && parts.iter().all(Result::is_ok)
    };
    host == "localhost" || host.ends_with(".localhost") || host == "[::1]" || is_v4()
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let end_of_host = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(end_of_host);
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return None,
        Some(digits) => Some(port(digits)?),
    };
    is_host(host).then(|| (host.to_ascii_lowercase(), port))
}

fn port(digits: &str) -> Option<u16> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok().filter(|port| *port > 0) } else { None }
}

/// A name in ASCII, as browsers write it, or an address. Whether there is such a host is not asked.
fn is_host(text: &str) -> bool {
    let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let allowed = |byte: u8| match in_brackets {
        Some(_) => byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'),
        None => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'),
    };
    let inner = in_brackets.unwrap_or(text);
    (1..=HOST_BYTES).contains(&inner.len()) && inner.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(text: &str) -> WebOrigin {
        WebOrigin::parse(text).unwrap()
    }

    #[test]
    fn what_browsers_take_for_one_origin_is_one() {
        for (a, b) in [
            ("https://chat.example.org", "HTTPS://Chat.Example.ORG:443"),
            ("http://chat.example.org", "http://chat.example.org:80"),
            ("http://[2001:db8::1]:8080", "http://[2001:DB8::1]:8080"),
        ] {
            assert_eq!(origin(a), origin(b));
        }
        let one = origin("https://chat.example.org");
        for other in [
            "http://chat.example.org",
            "https://chat.example.org:8443",
            "https://chat.example.org.",
            "https://example.org",
            "https://chat.example.org.evil.example",
        ] {
            assert_ne!(one, origin(other));
        }
    }

    #[test]
    fn anything_but_scheme_host_and_port_is_none() {
        for bad in [
            "",
            "null",
            "https://",
            "https://:443",
            "chat.example.org",
            "ws://chat.example.org",
            "https://chat.example.org/",
            "https://chat.example.org/x",
            "https://chat.example.org?x",
            "https://ann@chat.example.org",
            "https://chat.example.org:",
            "https://chat.example.org:0",
            "https://chat.example.org:65536",
            "https://chat.example.org:+80",
            "https://chat.example.org:80:80",
            "https://chat example.org",
            " https://chat.example.org",
            "https://chät.example.org",
            "https://[::1",
            "https://[]",
            "https://[::1]x",
            "https://[x]",
            "https://a, https://b",
        ] {
            assert_eq!(WebOrigin::parse(bad), None, "{bad}");
        }
        let long = |bytes| WebOrigin::parse(&format!("http://{}", "a".repeat(bytes)));
        assert!(long(HOST_BYTES).is_some() && long(HOST_BYTES + 1).is_none());
    }

    #[test]
    fn a_host_header_leaves_out_the_usual_port_of_the_pages_scheme() {
        for (page, host, reached) in [
            ("https://a.example", "a.example", true),
            ("https://a.example", "A.example:443", true),
            ("https://a.example", "a.example:80", false),
            ("http://a.example", "a.example", true),
            ("http://a.example", "a.example:443", false),
            ("http://a.example:8080", "a.example:8080", true),
            ("http://a.example:8080", "a.example", false),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("https://a.example", "b.example", false),
            ("https://a.example", "", false),
            ("https://a.example", "a.example, a.example", false),
        ] {
            assert_eq!(origin(page).is_reached_as(host), reached, "{page} as {host}");
        }
    }

    #[test]
    fn this_machine_has_some_names() {
        for own in
            ["localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1:1", "127.9.9.9", "[::1]"]
        {
            assert!(is_loopback_host(own), "{own}");
        }
        for other in [
            "",
            "localhost.example",
            "127.0.0.1.example",
            "127.0.0",
            "127.0.0.256",
            "128.0.0.1",
            "0.0.0.0",
            "192.168.1.5:8080",
            "[::2]",
            "notlocalhost",
        ] {
            assert!(!is_loopback_host(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn an_origin_is_shown_as_browsers_write_it(
            https: bool, host in "[a-z0-9]{1,8}(\\.[a-z]{2,5})?", port in 1..=65_535_u16,
        ) {
            let scheme = if https { "https" } else { "http" };
            let shown = origin(&format!("{scheme}://{host}:{port}")).to_string();
            prop_assert_eq!(origin(&shown).to_string(), shown.clone());
            let usual = port == if https { 443 } else { 80 };
            prop_assert_eq!(shown.matches(':').count(), if usual { 1 } else { 2 });
        }

        #[test]
        fn every_text_has_an_outcome(text: String) {
            let _ = (WebOrigin::parse(&text), is_loopback_host(&text));
            let _ = WebOrigin::parse(&format!("http://{text}"));
        }
    }
}
