//! The page's parts, as a browser asks for them.

use super::*;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use proptest::prelude::*;
use tower::ServiceExt;

/// Everything that opening the page takes over the network.
const PAGE_BYTES: usize = 60 * 1024;

async fn ask(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path).header(HOST, "example.net:8080");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    router::<()>(None).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn call(method: Method, path: &str) -> Response {
    ask(method, path, &[]).await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

async fn body(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

fn content(path: &str) -> &'static str {
    let asset = assets::all().iter().find(|asset| asset.path == path).expect(path);
    std::str::from_utf8(&asset.content).expect("a text")
}

/// Each script's path and text.
fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
    let scripts =
        assets::all().iter().filter(|asset| asset.media_type.starts_with("text/javascript"));
    scripts.map(|asset| (asset.path, content(asset.path)))
}

#[tokio::test]
async fn every_part_has_its_type_and_the_same_guards() {
    for asset in assets::all() {
        let response = call(Method::GET, asset.path).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", asset.path);
        let media_type = match asset.path.rsplit_once('.') {
            None => "text/html; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            Some((_, "png")) => "image/png",
            Some((_, "webmanifest")) => "application/manifest+json",
            Some((_, "ts")) => "text/plain; charset=utf-8",
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(header(&response, "content-type"), media_type);
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin");
        let directives = [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types parlor-worker",
            "connect-src 'self' ws://example.net:8080 wss://example.net:8080",
        ];
        assert_eq!(header(&response, "content-security-policy"), directives.join("; "));
        assert_eq!(body(response).await, asset.content, "{}", asset.path);
    }
}

#[tokio::test]
async fn a_link_to_a_room_is_the_page() {
    for path in ["/r/general", "/r/12"] {
        let response = call(Method::GET, path).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(body(response).await, content("/").as_bytes());
    }
    for path in ["/r", "/r/", "/r/a/b"] {
        assert_eq!(call(Method::GET, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn it_is_read_only() {
    let response = call(Method::HEAD, "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(body(response).await.is_empty());
    assert_eq!(call(Method::POST, "/").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(call(Method::GET, "/index.html").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let gzip = (ACCEPT_ENCODING, "gzip, br");
    let plain = call(Method::GET, "/page/app.js").await;
    let packed = ask(Method::GET, "/page/app.js", std::slice::from_ref(&gzip)).await;
    let [plain_tag, packed_tag] =
        [&plain, &packed].map(|response| header(response, "etag").to_owned());
    assert_ne!(plain_tag, packed_tag, "they are different bytes");
    for response in [&plain, &packed] {
        assert_eq!(header(response, "vary"), "accept-encoding");
    }
    let known = [
        packed_tag.clone(),
        format!("W/{packed_tag}"),
        format!("\"a\", {packed_tag}"),
        "*".to_owned(),
    ];
    for known in known {
        let headers = [gzip.clone(), (IF_NONE_MATCH, known.as_str())];
        let response = ask(Method::GET, "/page/app.js", &headers).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header(&response, "etag"), packed_tag);
        assert!(body(response).await.is_empty());
    }
    for unknown in [plain_tag.as_str(), "\"a\"", ""] {
        let headers = [gzip.clone(), (IF_NONE_MATCH, unknown)];
        let response = ask(Method::GET, "/page/app.js", &headers).await;
        assert_eq!(response.status(), StatusCode::OK, "{unknown}");
    }
}

#[tokio::test]
async fn it_is_compressed_for_those_who_want_that() {
    let wants = [("gzip", true), ("br, GZIP;q=0.5", true), ("*", false), ("gzip;q=0", false)];
    for (accepted, expected) in wants {
        let headers = [(ACCEPT_ENCODING, accepted)];
        let response = ask(Method::GET, "/page/style.css", &headers).await;
        let encoding = response.headers().get(CONTENT_ENCODING).cloned();
        assert_eq!(encoding.is_some_and(|name| name == "gzip"), expected, "{accepted}");
        let sent = body(response).await;
        assert_eq!(sent.starts_with(&[0x1f, 0x8b]), expected, "{accepted}");
        assert!((sent.len() < content("/page/style.css").len()) == expected, "{accepted}");
        if expected {
            let mut unpacked = String::new();
            let mut decoder = flate2::read::GzDecoder::new(&sent[..]);
            std::io::Read::read_to_string(&mut decoder, &mut unpacked).unwrap();
            assert_eq!(unpacked, content("/page/style.css"));
        }
    }
}

#[test]
fn the_whole_page_is_small() {
    // The types are for developers: no browser asks for them.
    let parts = assets::all().iter().filter(|asset| asset.path != "/parlor.d.ts");
    // The picture counts, though most browsers ask for it only for a home screen.
    let size = |part: &Asset| part.gzip().unwrap_or_else(|| part.plain()).len();
    let bytes: usize = parts.map(size).sum();
    assert!(bytes <= PAGE_BYTES, "{bytes} bytes compressed");
}

#[tokio::test]
async fn other_origins_may_import_the_library_and_nothing_else() {
    for asset in assets::all() {
        let response = call(Method::GET, asset.path).await;
        let open = response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(open, ["/parlor.js", "/parlor.d.ts"].contains(&asset.path), "{}", asset.path);
    }
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
            prop_assert_eq!(policy.to_str().unwrap().matches(';').count(), 11);
        }
    }

    #[test]
    fn no_header_makes_it_panic(value: Vec<u8>) {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let request = HeaderMap::from_iter([
                (ACCEPT_ENCODING, value.clone()),
                (IF_NONE_MATCH, value),
            ]);
            let _ = (accepts_gzip(&request), is_known(&request, "\"a\""));
        }
    }
}

#[test]
fn the_page_keeps_to_its_own_policy() {
    let html = content("/");
    for forbidden in ["<style", " style=", " onclick", "javascript:", "http://", "https://"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains("<script type=\"module\" src=\"/page/app.js\"></script>"));
    // What people wrote is text and never markup.
    let markup = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "DOMParser",
        "setHTML",
        "createContextualFragment",
    ];
    for (path, script) in scripts() {
        for forbidden in markup {
            assert!(!script.contains(forbidden), "{forbidden} in {path}");
        }
    }
}

#[test]
fn what_the_page_names_is_there() {
    let paths: Vec<_> = assets::all().iter().map(|asset| asset.path).collect();
    let named = |text: &str, before: &str| -> Vec<String> {
        let rest = text.split(before).skip(1);
        rest.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    };
    for path in named(content("/"), "href=\"/").iter().chain(&named(content("/"), "src=\"/")) {
        assert!(paths.contains(&format!("/{path}").as_str()), "{path}");
    }
    for (path, script) in scripts() {
        for import in named(script, "from \"./") {
            assert!(paths.contains(&format!("/page/{import}").as_str()), "{import}");
        }
        let ids = named(script, "$(\"");
        for id in ids {
            assert!(content("/").contains(&format!("id=\"{id}\"")), "{id} in {path}");
        }
    }
}

#[test]
fn the_service_worker_keeps_every_part_of_the_page() {
    let (_, list) = content("/worker.js").split_once("const FILES = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let mut kept: Vec<_> = list.split('"').skip(1).step_by(2).collect();
    // The page itself stands beside the list, a worker does not keep itself, and a home screen has
    // its picture already.
    kept.extend(["/", "/worker.js", "/parlor.d.ts", "/touch-icon.png"]);
    let mut paths: Vec<_> = assets::all().iter().map(|asset| asset.path).collect();
    kept.sort_unstable();
    paths.sort_unstable();
    assert_eq!(kept, paths);
}

// Home screens that take no drawing showed a picture of the page's first letter.
#[test]
fn there_is_a_picture_for_home_screens() {
    assert!(content("/").contains("rel=\"apple-touch-icon\" href=\"/touch-icon.png\""));
    let picture = assets::all().iter().find(|asset| asset.path == "/touch-icon.png").unwrap();
    let png = &picture.content;
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (180, 180), "width and height");
    let is_clear = !matches!(png[25], 2 | 3) || png.windows(4).any(|kind| kind == b"tRNS");
    assert!(!is_clear, "transparency would be shown black");
    assert!(png.len() <= 6 * 1024, "{} bytes", png.len());
}

/// Once the policy named whatever `Host` a proxy passed on.
#[tokio::test]
async fn the_policy_names_the_public_url_where_there_is_one() {
    for (public, named) in [
        ("https://chat.example.org", "connect-src 'self' wss://chat.example.org"),
        ("http://192.168.1.5:8080", "connect-src 'self' ws://192.168.1.5:8080"),
        // No policy has a place for it.
        ("http://[2001:db8::1]:8080", "connect-src 'self'"),
    ] {
        let public = crate::domain::WebOrigin::parse(public);
        let request = Request::get("/").header(HOST, "10.0.0.7:8080").body(Body::empty()).unwrap();
        let response = router::<()>(public.as_ref()).oneshot(request).await.unwrap();
        let policy = header(&response, "content-security-policy");
        assert!(policy.ends_with(named), "{policy}");
    }
}
