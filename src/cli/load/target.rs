//! Which server is put under load: an address that is looked up once.

use std::net::SocketAddr;

use hyper::Uri;
use hyper::http::uri::Scheme;

use super::Failure;

/// A server, by name and by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host and port, as requests name it.
    pub host: String,
    pub addr: SocketAddr,
}

impl Target {
    pub async fn find(url: &str) -> Result<Self, Failure> {
        let host = host(url).map_err(Failure)?;
        let found = tokio::net::lookup_host(&host).await.map(|mut addrs| addrs.next());
        let addr = match found {
            Ok(Some(addr)) => addr,
            Ok(None) => return Err(Failure(format!("{host} has no address"))),
            Err(error) => return Err(Failure(format!("{host} is not found: {error}"))),
        };
        Ok(Self { host, addr })
    }
}

/// Host and port of a URL such as `http://127.0.0.1:8080`.
fn host(url: &str) -> Result<String, String> {
    let example = "give the server as http://HOST:PORT";
    let Ok(uri) = url.parse::<Uri>() else {
        return Err(format!("{url:?} is not a URL: {example}"));
    };
    if uri.scheme() == Some(&Scheme::HTTPS) {
        return Err("https:// is not spoken here: put the server itself under load, behind its \
                    TLS proxy, at its own http:// address"
            .to_owned());
    }
    let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTP));
    let Some(authority) = authority else {
        return Err(format!("{url:?} has no http:// and host: {example}"));
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || url.contains(['@', '#']) {
        return Err(format!("{url:?} says more than host and port: {example}"));
    }
    Ok(format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_host_and_port() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://example.org", "example.org:80"),
            ("http://[::1]:9000/", "[::1]:9000"),
        ] {
            assert_eq!(host(url).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_words() {
        for (url, word) in [
            ("https://example.org", "TLS"),
            ("127.0.0.1:8080", "http://"),
            ("ws://127.0.0.1:8080", "http://"),
            ("http://a b", "not a URL"),
            ("http://example.org/rooms", "more than"),
            ("http://example.org/?a=b", "more than"),
            ("http://me@example.org/", "more than"),
            ("", "not a URL"),
        ] {
            let said = host(url).unwrap_err();
            assert!(said.contains(word), "{url}: {said}");
        }
    }

    #[tokio::test]
    async fn an_address_needs_no_looking_up() {
        let target = Target::find("http://[::1]:9000").await.unwrap();
        assert_eq!(target.addr, "[::1]:9000".parse().unwrap());
    }
}
