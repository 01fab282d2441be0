//! What is refused before any use case hears of it, and what every answer carries.

use super::*;
use crate::domain::limits::BODY_BYTES;

const SIGN_IN: &str = "/api/v1/signin";

fn raw(media_type: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post(SIGN_IN);
    if !media_type.is_empty() {
        request = request.header("content-type", media_type);
    }
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let app = TestApp::new();
    for path in ["/nothing", "/api/v1", "/api/v1/", "/api/v1/rooms/", "/api/v2/me", "//", "/LIVEZ"]
    {
        app.get(path, "").await.is_problem(404, "not_found");
    }
    for (method, path, allowed) in [
        (Method::GET, SIGN_IN, &["POST"][..]),
        (Method::PUT, "/api/v1/me", &["GET", "HEAD", "DELETE"]),
        (Method::PATCH, "/api/v1/rooms/1/messages", &["GET", "HEAD", "POST"]),
        (Method::OPTIONS, "/api/v1/rooms", &["GET", "HEAD", "POST"]),
        (Method::POST, "/livez", &["GET", "HEAD"]),
    ] {
        let answer = app.call(method, path, "", None).await;
        answer.is_problem(405, "method_not_allowed");
        let mut allow: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        let mut allowed = allowed.to_vec();
        allow.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(allow, allowed, "{path}");
    }
}

#[tokio::test]
async fn a_body_must_be_declared_as_json() {
    let app = TestApp::new();
    for media_type in ["", "text/plain", "application/x-www-form-urlencoded", "text/json"] {
        app.send(raw(media_type, "{}")).await.is_problem(415, "unsupported_media_type");
    }
    for media_type in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"] {
        app.send(raw(media_type, "{}")).await.is_invalid(&["username", "password"]);
    }
}

#[tokio::test]
async fn a_body_must_be_one_json_object() {
    let app = TestApp::new();
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    let many: Vec<_> = (0..65).map(|index| format!("\"f{index}\":1")).collect();
    let many = format!("{{{}}}", many.join(","));
    for bad in
        ["", " ", "{", "{}{}", "[]", "null", "7", "\"x\"", "{'a':1}", "{\"a\":1,}", &deep, &many]
    {
        let answer = app.send(raw("application/json", bad.to_owned())).await;
        answer.is_problem(400, "bad_json");
        assert!(answer.json["detail"].as_str().unwrap().len() < 300);
    }
    for bad in [&b"{\"username\":\"\xff\"}"[..], b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"\0"] {
        app.send(raw("application/json", bad)).await.is_problem(400, "bad_json");
    }
}

#[tokio::test]
async fn nesting_costs_nothing_and_is_just_of_the_wrong_type() {
    let app = TestApp::new();
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    let body = format!("{{\"username\":{deep},\"password\":\"\\ud800\"}}");
    app.send(raw("application/json", body)).await.is_invalid(&["username", "password"]);
    let body = format!("{{\"unknown\":{deep}}}");
    app.send(raw("application/json", body)).await.is_invalid(&["username", "password"]);
}

#[tokio::test]
async fn a_body_has_a_bound_whether_it_tells_its_length_or_not() {
    let app = TestApp::new();
    let fits = format!("{{}}{}", " ".repeat(BODY_BYTES - 2));
    app.send(raw("application/json", fits.clone())).await.is_invalid(&["username", "password"]);
    let over = raw("application/json", format!("{fits} "));
    app.send(over).await.is_problem(413, "too_large");
    let mut announced = raw("application/json", "{}");
    announced.headers_mut().insert("content-length", (BODY_BYTES + 1).into());
    app.send(announced).await.is_problem(413, "too_large");
}

#[tokio::test]
async fn readiness_ends_with_the_drain_and_life_does_not() {
    let app = TestApp::new();
    assert_eq!(app.get("/readyz", "").await.json, json!({"status": "ready"}));
    app.readiness.drain();
    app.get("/readyz", "").await.is_problem(503, "unavailable");
    let answer = app.get("/livez", "").await;
    assert_eq!((answer.status.as_u16(), answer.json), (200, json!({"status": "live"})));
}

#[tokio::test]
async fn every_answer_has_its_id_and_its_guards() {
    let app = TestApp::new();
    let mut ids = std::collections::HashSet::new();
    for (path, media_type) in [
        ("/livez", "application/json"),
        ("/openapi.json", "application/json"),
        ("/nothing", "application/problem+json"),
        ("/api/v1/me", "application/problem+json"),
        (SIGN_IN, "application/problem+json"),
    ] {
        let answer = app.get(path, "").await;
        assert_eq!(answer.header("content-type"), media_type, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "{path}");
    }
    for (own, kept) in [("trace-7_A", true), ("a b", false), ("", false), ("a\"b", false)] {
        let request = Request::get("/api/v1/me").header("x-request-id", own);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(401, "unauthorized");
        assert_eq!(answer.header("x-request-id") == own, kept, "{own}");
    }
}

#[tokio::test]
async fn what_another_edge_says_of_itself_stays() {
    async fn page() -> ([(&'static str, &'static str); 1], &'static str) {
        ([("cache-control", "no-cache")], "page")
    }
    let pages = Router::new().route("/page", axum::routing::get(page));
    let app = TestApp {
        router: super::super::finish(pages, &Metrics::new(), &Origins::default()),
        ..TestApp::new()
    };
    let answer = app.get("/page", "").await;
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    app.call(Method::POST, "/page", "", None).await.is_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let app = TestApp::new();
    for (path, status) in [("/livez", 200), ("/api/v1/me", 401), ("/nothing", 404)] {
        let get = app.get(path, "").await;
        let request = Request::head(path).body(Body::empty()).unwrap();
        let response = app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(get.status, status);
        let length = response.headers().get("content-length").cloned();
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty(), "{path}");
        assert!(length.is_some_and(|length| length != "0"), "{path}");
    }
}
