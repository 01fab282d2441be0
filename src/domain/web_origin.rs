//! Where a page on the web is from: scheme, host and port.

use core::net::{Ipv4Addr, Ipv6Addr};
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
    // A name may end with the dot of the root.
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_v4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
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
    Some((canonical(host)?, port))
}

fn port(digits: &str) -> Option<u16> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok().filter(|port| *port > 0) } else { None }
}

/// A name in ASCII or an address, as browsers write it. Whether there is such a host is not asked.
fn canonical(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse().ok().map(|address| format!("[{}]", v6(address)));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !(1..=HOST_BYTES).contains(&host.len()) || !host.bytes().all(allowed) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    // Browsers take such a one for an IPv4 address, and write it out.
    let is_fine = !ends_in_number(&host) || host.parse::<Ipv4Addr>().is_ok();
    is_fine.then_some(host)
}

/// The same without the dotted form of what once was an IPv4 address.
fn v6(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
        _ => address.to_string(),
    }
}

fn ends_in_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let digits = |text: &str, of: fn(&u8) -> bool| text.bytes().all(|byte| of(&byte));
    (!last.is_empty() && digits(last, u8::is_ascii_digit))
        || last.strip_prefix("0x").is_some_and(|hex| digits(hex, u8::is_ascii_hexdigit))
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
            // Once these were taken as they stood, and no browser's page was ever of that origin.
            ("http://[2001:db8::1]", "http://[2001:0db8:0000:0000:0000:0000:0000:0001]"),
            ("http://[::ffff:c000:201]", "http://[::ffff:192.0.2.1]"),
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
            // Addresses in ways in which no browser writes them.
            "http://127.1",
            "http://2130706433",
            "http://0x7f.0.0.1",
            "http://127.0.0.01",
            "http://127.0.0.1.",
            "http://1.2.3.256",
            "http://chat.example.1",
            "https://[1:2:3]",
            "https://[fe80::1%25eth0]",
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
        for own in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:80",
            "a.localhost",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]",
        ] {
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
            https: bool, host in "[a-z][a-z0-9]{0,7}(\\.[a-z]{2,5})?", port in 1..=65_535_u16,
        ) {
            let scheme = if https { "https" } else { "http" };
            let shown = origin(&format!("{scheme}://{host}:{port}")).to_string();
            prop_assert_eq!(origin(&shown).to_string(), shown.clone());
            let usual = port == if https { 443 } else { 80 };
            prop_assert_eq!(shown.matches(':').count(), if usual { 1 } else { 2 });
        }

        /// What is taken is, for a browser, the same origin, and written as it writes it.
        #[test]
        fn an_origin_is_what_browsers_make_of_it(
            host in "[a-zA-Z0-9x.]{1,12}|[0-9.]{1,12}|\\[[0-9a-f:]{2,16}\\]|\\[::ffff:[0-9.]{7}\\]",
        ) {
            let text = format!("http://{host}:8080");
            if let Some(taken) = WebOrigin::parse(&text) {
                let browsers = reqwest::Url::parse(&text).unwrap().origin();
                prop_assert_eq!(taken.to_string(), browsers.ascii_serialization());
            }
        }

        #[test]
        fn an_address_is_written_as_browsers_write_it(segments: [u16; 8], zeros: [bool; 8]) {
            let zeroed = std::array::from_fn(|n| if zeros[n] { 0 } else { segments[n] });
            for address in [Ipv6Addr::from(segments), Ipv6Addr::from(zeroed)] {
                let long = address.segments().map(|segment| format!("{segment:04X}")).join(":");
                let text = format!("http://[{long}]");
                let browsers = reqwest::Url::parse(&text).unwrap().origin();
                prop_assert_eq!(origin(&text).to_string(), browsers.ascii_serialization());
            }
        }

        #[test]
        fn every_text_has_an_outcome(text: String) {
            let _ = (WebOrigin::parse(&text), is_loopback_host(&text));
            let _ = WebOrigin::parse(&format!("http://{text}"));
        }
    }
}
