//! The session's cookie: how it is set, kept, shown and cleared.

use super::*;
use crate::auth::Header;
use crate::domain::{WebOrigin, limits};

const HOST: &str = "chat.example.org";
const OWN: &str = "https://chat.example.org";

/// A request of the server's own page, or of another.
fn from(origin: &str, cookie: &str, mut request: Request<Body>) -> Request<Body> {
    let headers = request.headers_mut();
    headers.insert("host", HOST.parse().unwrap());
    headers.insert("origin", origin.parse().unwrap());
    if !cookie.is_empty() {
        headers.insert("cookie", format!("other=1; parlor_session={cookie}").parse().unwrap());
    }
    request
}

fn sign_up(name: &str) -> Request<Body> {
    let body = json!({"username": name, "password": PASSWORD, "cookie": true});
    request(Method::POST, "/api/v1/signup", "", Some(body))
}

/// The token and the attributes of the cookie that an answer sets.
fn set_cookie(answer: &Answer) -> (String, String) {
    let cookie = answer.header("set-cookie").strip_prefix("parlor_session=").expect("a cookie");
    let (token, attributes) = cookie.split_once("; ").unwrap();
    (token.to_owned(), attributes.to_owned())
}

async fn signed_up(app: &TestApp, name: &str) -> String {
    let answer = app.send(from(OWN, "", sign_up(name))).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    set_cookie(&answer).0
}

#[tokio::test]
async fn signing_up_and_in_sets_it_and_answers_no_token() {
    let app = TestApp::new();
    let answer = app.send(from(OWN, "", sign_up("ann"))).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_eq!(answer.json["user"]["username"], "ann");
    assert_eq!(answer.json["expiresAt"], NOW + 3_600_000);
    assert!(answer.json.get("token").is_none(), "{}", answer.json);
    let (token, attributes) = set_cookie(&answer);
    assert_eq!(attributes, "Max-Age=3600; Path=/; HttpOnly; SameSite=Strict; Secure");
    assert_eq!(app.get("/api/v1/me", &token).await.status, 200, "it is the token");

    let body = json!({"username": "ann", "password": PASSWORD, "cookie": true});
    let answer = app.post("/api/v1/signin", "", body).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert!(answer.json.get("token").is_none(), "{}", answer.json);
    assert_eq!(app.get("/api/v1/me", &set_cookie(&answer).0).await.status, 200);
    for cookie in [json!(false), Value::Null] {
        let body = json!({"username": "ann", "password": PASSWORD, "cookie": cookie});
        let answer = app.post("/api/v1/signin", "", body).await;
        assert!(answer.json["token"].is_string() && answer.header("set-cookie").is_empty());
    }
}

#[tokio::test]
async fn it_is_kept_to_https_unless_there_is_none() {
    let at = |url| Origins { public: WebOrigin::parse(url), ..Origins::default() };
    for (origins, origin, host, secure) in [
        (Origins::default(), "http://localhost:8080", "localhost:8080", false),
        (Origins::default(), "http://127.0.0.1:8080", "127.0.0.1:8080", false),
        (Origins::default(), OWN, HOST, true),
        (at(OWN), OWN, "127.0.0.1:8080", true),
        (at("http://192.168.1.5:8080"), "http://192.168.1.5:8080", "192.168.1.5:8080", false),
    ] {
        let app = TestApp::with(Options { origins, ..Options::default() });
        let mut sign_up = from(origin, "", sign_up("ann"));
        sign_up.headers_mut().insert("host", host.parse().unwrap());
        let (_, attributes) = set_cookie(&app.send(sign_up).await);
        assert_eq!(attributes.ends_with("; Secure"), secure, "{origin}: {attributes}");
    }
}

#[tokio::test]
async fn another_page_is_given_none_and_no_account_is_made() {
    let app = TestApp::new();
    let answer = app.send(from("https://evil.example", "", sign_up("ann"))).await;
    answer.is_problem(403, "forbidden");
    assert!(answer.json["detail"].as_str().unwrap().contains("public_url"));
    signed_up(&app, "ann").await;
    let body = json!({"username": "ann", "password": PASSWORD, "cookie": true});
    let sign_in = request(Method::POST, "/api/v1/signin", "", Some(body));
    app.send(from("https://evil.example", "", sign_in)).await.is_problem(403, "forbidden");
}

#[tokio::test]
async fn every_call_takes_it_from_the_own_page_and_from_no_other() {
    let app = TestApp::new();
    let mut cookie = signed_up(&app, "ann").await;
    for (method, path) in document::operations() {
        let path = path.replace("{room}", "77");
        // Even what could be done: end the account, for one.
        let body = (method == Method::DELETE).then(|| json!({"password": PASSWORD}));
        let call = || request(method.clone(), &path, "", body.clone());
        let needs_token = app.send(call()).await.status == 401;
        let other = app.send(from("https://evil.example", &cookie, call())).await;
        assert_eq!(other.status == 401, needs_token, "{method} {path}");
        if needs_token {
            assert!(other.json["detail"].as_str().unwrap().contains("public_url"));
        }
        let me = request(Method::GET, "/api/v1/me", "", None);
        assert_eq!(app.send(from(OWN, &cookie, me)).await.status, 200, "{method} {path}");
        let own = app.send(from(OWN, &cookie, call())).await;
        assert_ne!(own.status, 401, "{method} {path}");
        if needs_token && own.header("set-cookie").contains("Max-Age=0") {
            cookie = signed_up(&app, if path.ends_with("/me") { "ann" } else { "ben" }).await;
        }
    }
}

#[tokio::test]
async fn a_read_without_origin_counts_if_the_browser_says_that_it_is_from_here() {
    let app = TestApp::new();
    let cookie = format!("parlor_session={}", signed_up(&app, "ann").await);
    let me = || Request::get("/api/v1/me").header("host", HOST).header("cookie", &cookie);
    let from_us = me().header("sec-fetch-site", "same-origin").body(Body::empty()).unwrap();
    assert_eq!(app.send(from_us).await.status, 200);
    for site in ["same-site", "cross-site", "none"] {
        let elsewhere = me().header("sec-fetch-site", site).body(Body::empty()).unwrap();
        app.send(elsewhere).await.is_problem(401, "unauthorized");
    }
    app.send(me().body(Body::empty()).unwrap()).await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn where_browsers_say_nothing_only_reads_are_taken() {
    let public = WebOrigin::parse("http://nas.home:8080");
    let origins = Origins { public, ..Origins::default() };
    let app = TestApp::with(Options { origins, ..Options::default() });
    let token = app.sign_up("ann").await;
    let call = |method| {
        let call = Request::builder().method(method).uri("/api/v1/rooms");
        let cookie = format!("parlor_session={token}");
        call.header("host", "nas.home:8080").header("cookie", cookie).body(Body::empty()).unwrap()
    };
    assert_eq!(app.send(call(Method::GET)).await.status, 200);
    assert_eq!(app.send(call(Method::HEAD)).await.status, 200);
    app.send(call(Method::POST)).await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_refresh_renews_it_and_answers_no_token() {
    let app = TestApp::new();
    let old = signed_up(&app, "ann").await;
    app.clock.set(NOW + 1_000_000);
    let refresh = || request(Method::POST, "/api/v1/refresh", "", None);
    let answer = app.send(from(OWN, &old, refresh())).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json),
        (200, &json!({"expiresAt": NOW + 4_600_000}))
    );
    let (new, attributes) = set_cookie(&answer);
    assert!(attributes.starts_with("Max-Age=3600; "), "{attributes}");
    app.clock.set(NOW + 4_000_000);
    let me = || request(Method::GET, "/api/v1/me", "", None);
    app.send(from(OWN, &old, me())).await.is_problem(401, "unauthorized");
    assert_eq!(app.send(from(OWN, &new, me())).await.status, 200);
    // Who shows the token gets a token, with a cookie or without.
    let mut by_token = from(OWN, &new, refresh());
    by_token.headers_mut().insert("authorization", format!("Bearer {new}").parse().unwrap());
    let answer = app.send(by_token).await;
    assert!(answer.json["token"].is_string() && answer.header("set-cookie").is_empty());
}

#[tokio::test]
async fn it_is_cleared_with_the_session_that_it_shows() {
    let app = TestApp::new();
    let cleared =
        (String::new(), "Max-Age=0; Path=/; HttpOnly; SameSite=Strict; Secure".to_owned());
    let sign_out = || request(Method::POST, "/api/v1/signout", "", None);
    let cookie = signed_up(&app, "ann").await;
    let answer = app.send(from("https://evil.example", &cookie, sign_out())).await;
    answer.is_problem(401, "unauthorized");
    assert_eq!(answer.header("set-cookie"), "");
    let answer = app.send(from(OWN, &cookie, sign_out())).await;
    assert_eq!((answer.status.as_u16(), set_cookie(&answer)), (204, cleared.clone()));
    app.get("/api/v1/me", &cookie).await.is_problem(401, "unauthorized");

    let cookie = signed_up(&app, "ben").await;
    let mut by_token = from(OWN, &cookie, sign_out());
    let other = app.sign_up("eve").await;
    by_token.headers_mut().insert("authorization", format!("Bearer {other}").parse().unwrap());
    let answer = app.send(by_token).await;
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (204, ""), "another session");

    let body = Some(json!({"password": PASSWORD}));
    let answer =
        app.send(from(OWN, &cookie, request(Method::DELETE, "/api/v1/me", "", body))).await;
    assert_eq!((answer.status.as_u16(), set_cookie(&answer)), (204, cleared));
}

/// Once a cookie of the same name that a neighbour had set made every request one without a
/// session, for good: the page could neither sign in nor out.
#[tokio::test]
async fn a_neighbours_cookie_signs_nobody_out() {
    let app = TestApp::new();
    let cookie = signed_up(&app, "ann").await;
    let me = |cookies: &str| from(OWN, cookies, request(Method::GET, "/api/v1/me", "", None));
    for cookies in [
        format!("tossed; parlor_session={cookie}"),
        format!("{cookie}; parlor_session=tossed"),
        format!("; parlor_session=x.y.z; parlor_session=tossed; parlor_session={cookie}"),
        format!("{cookie}; parlor_session={cookie}"),
    ] {
        let answer = app.send(me(&cookies)).await;
        assert_eq!(answer.json["user"]["username"], "ann", "{cookies}");
    }
    let renewed = request(Method::POST, "/api/v1/refresh", "", None);
    let cookies = format!("tossed; parlor_session={cookie}");
    assert_eq!(app.send(from(OWN, &cookies, renewed)).await.status, 200);
    // Past the bound none is looked at; and two people's are nobody's: a neighbour's would sign its
    // visitor in to an account of its choice.
    let far = format!("{}{cookie}", "x; parlor_session=".repeat(limits::SESSION_COOKIES));
    app.send(me(&far)).await.is_problem(401, "unauthorized");
    let others = signed_up(&app, "eve").await;
    let both = format!("{others}; parlor_session={cookie}");
    app.send(me(&both)).await.is_problem(401, "unauthorized");
    app.send(me("tossed; parlor_session=too")).await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn what_is_set_is_what_is_found() {
    let app = TestApp::new();
    let answer = app.send(from(OWN, "", sign_up("ann"))).await;
    let whole = answer.header("set-cookie");
    let (pair, _) = whole.split_once(';').unwrap();
    let facts = crate::auth::Facts::gather(
        |name| {
            let value = match name {
                "cookie" => Some(pair.as_bytes()),
                "origin" => Some(OWN.as_bytes()),
                "host" => Some(HOST.as_bytes()),
                _ => None,
            };
            value.into_iter()
        },
        None,
        false,
    );
    assert_eq!(facts.authorization, Header::Absent);
    let shown = Origins::default().shown(&facts).unwrap();
    assert_eq!(app.get("/api/v1/me", shown.tokens()[0]).await.status, 200);
}
