//! The embedded page: what it consists of, and the headers that keep it to itself.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const HTML: &str = include_str!("index.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("style.css");

/// Nothing is loaded from elsewhere, nothing inline runs, no form leaves the page by itself, and
/// no other page may put this one into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      connect-src 'self'";

/// Longest name of a host, and a port.
const HOST_BYTES: usize = 253 + 6;

/// The page at `/` and its parts, for a router of any state.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let part = |media_type: &'static str, content: &'static str| {
        get(move |headers: HeaderMap| async move { answer(&headers, media_type, content) })
    };
    Router::new()
        .route("/", part("text/html; charset=utf-8", HTML))
        .route("/page.js", part("text/javascript; charset=utf-8", SCRIPT))
        .route("/style.css", part("text/css; charset=utf-8", STYLE))
}

fn answer(request: &HeaderMap, media_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CONTENT_SECURITY_POLICY, policy(request.get(HOST))),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, content).into_response()
}

/// Not every browser takes `'self'` to cover a WebSocket to the same host, so it is named too,
/// where the request tells a name that can stand in a policy.
fn policy(host: Option<&HeaderValue>) -> HeaderValue {
    let named = host
        .and_then(|host| host.to_str().ok())
        .filter(|host| is_host(host))
        .and_then(|host| HeaderValue::try_from(format!("{POLICY} ws://{host} wss://{host}")).ok());
    named.unwrap_or(HeaderValue::from_static(POLICY))
}

/// A name or an IPv4 address, with or without a port: what the grammar of policies allows.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "80"));
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    text.len() <= HOST_BYTES
        && !name.is_empty()
        && name.bytes().all(name_byte)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{Method, Request, StatusCode};
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use tower::ServiceExt;

    async fn call(method: Method, path: &str) -> Response {
        let request = Request::builder().method(method).uri(path).header(HOST, "example.net:8080");
        router::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    #[tokio::test]
    async fn every_part_has_its_type_and_the_same_guards() {
        for (path, media_type, content) in [
            ("/", "text/html; charset=utf-8", HTML),
            ("/page.js", "text/javascript; charset=utf-8", SCRIPT),
            ("/style.css", "text/css; charset=utf-8", STYLE),
        ] {
            let response = call(Method::GET, path).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(header(&response, "content-type"), media_type);
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
            assert_eq!(header(&response, "referrer-policy"), "no-referrer");
            assert_eq!(header(&response, "cache-control"), "no-cache");
            let policy = header(&response, "content-security-policy");
            let directives: Vec<_> = policy.split("; ").collect();
            for directive in [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self' ws://example.net:8080 wss://example.net:8080",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ] {
                assert!(directives.contains(&directive), "{directive} not in {policy}");
            }
            assert_eq!(directives.len(), 7, "{policy}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, content.as_bytes(), "{path}");
        }
    }

    #[tokio::test]
    async fn it_is_read_only() {
        let response = call(Method::HEAD, "/").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
        assert_eq!(call(Method::POST, "/").await.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(call(Method::GET, "/index.html").await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn only_a_plain_host_enters_the_policy() {
        for good in ["localhost", "localhost:8080", "192.168.1.2:80", "a-b.example.net"] {
            let host = HeaderValue::from_static(good);
            let policy = policy(Some(&host));
            assert!(policy.to_str().unwrap().ends_with(&format!(" ws://{good} wss://{good}")));
        }
        let bad_hosts =
            ["", ":80", "a:", "a:b", "*", "a b", "a; script-src *", "a,b", "'self'", "[::1]:80"];
        for bad in bad_hosts {
            let host = HeaderValue::from_static(bad);
            assert_eq!(policy(Some(&host)), POLICY, "{bad}");
        }
        let long = HeaderValue::try_from("a".repeat(300)).unwrap();
        assert_eq!(policy(Some(&long)), POLICY);
        assert_eq!(policy(None), POLICY);
    }

    proptest! {
        #[test]
        fn no_host_adds_a_directive(host: Vec<u8>) {
            if let Ok(host) = HeaderValue::from_bytes(&host) {
                let policy = policy(Some(&host));
                prop_assert_eq!(policy.to_str().unwrap().matches(';').count(), 6);
            }
        }
    }

    #[test]
    fn the_page_keeps_to_its_own_policy() {
        for forbidden in ["<style", " style=", " onclick", "javascript:", "http://", "https://"] {
            assert!(!HTML.contains(forbidden), "{forbidden}");
        }
        assert_eq!(HTML.matches("<script").count(), 1);
        assert!(HTML.contains("<script src=\"/page.js\" defer></script>"));
        assert!(HTML.contains("href=\"/style.css\""));
        // What people wrote is text and never markup.
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn every_element_that_the_script_names_is_on_the_page() {
        let mut named = 0;
        for rest in SCRIPT.split("$(\"").skip(1) {
            let (id, _) = rest.split_once('"').unwrap();
            assert!(HTML.contains(&format!("id=\"{id}\"")), "{id}");
            named += 1;
        }
        assert!(named > 10);
    }
}
