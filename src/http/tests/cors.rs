//! What browsers are told about pages of other servers.

use super::*;
use crate::domain::WebOrigin;

const APP: &str = "https://app.example.com";

fn app() -> TestApp {
    let allowed = vec![WebOrigin::parse(APP).unwrap()];
    TestApp::with(Options {
        origins: Origins { allowed, ..Origins::default() },
        ..Options::default()
    })
}

fn ask(method: Method, path: &str, origin: &str, asks_first: bool) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("origin", origin);
    let request =
        if asks_first { request.header("access-control-request-method", "POST") } else { request };
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_listed_page_is_told_what_it_may_send() {
    let app = app();
    // Whatever the path: whether it is there shows when it is called.
    for path in ["/api/v1/me", "/api/v1/rooms/1/messages", "/api/v1/nothing"] {
        let answer = app.send(ask(Method::OPTIONS, path, APP, true)).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), APP);
        assert_eq!(answer.header("access-control-allow-methods"), "GET, POST, DELETE");
        // Once it named what the path takes beside it.
        assert_eq!(answer.header("allow"), "GET, POST, DELETE", "{path}");
        let headers = "authorization, content-type, last-event-id, x-request-id";
        assert_eq!(answer.header("access-control-allow-headers"), headers);
        assert_eq!(answer.header("access-control-max-age"), "7200");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "no cookie");
        assert_eq!(answer.header("vary"), "origin");
        assert!(!answer.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn a_listed_page_sees_answers_and_refusals() {
    let app = app();
    let token = app.sign_up("ann").await;
    for (token, status) in [(token.as_str(), 200), ("", 401)] {
        let mut request = request(Method::GET, "/api/v1/me", token, None);
        request.headers_mut().insert("origin", APP.parse().unwrap());
        let answer = app.send(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), APP);
        assert_eq!(answer.header("access-control-expose-headers"), "retry-after, x-request-id");
        assert_eq!(answer.header("vary"), "origin");
    }
    let cookie = format!("parlor_session={token}");
    let request = Request::get("/api/v1/me").header("origin", APP).header("cookie", cookie);
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    answer.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn others_are_told_nothing() {
    let app = app();
    for other in ["https://evil.example", "null", "http://app.example.com", "*"] {
        let answer = app.send(ask(Method::OPTIONS, "/api/v1/me", other, true)).await;
        answer.is_problem(405, "method_not_allowed");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{other}");
        assert_eq!(answer.header("vary"), "origin");
    }
    // Nor is anything but the API theirs, nor is every OPTIONS such a question.
    for (path, status) in [("/livez", 405), ("/api/v10/me", 404), ("/api/v1x", 404)] {
        let answer = app.send(ask(Method::OPTIONS, path, APP, true)).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let answer = app.send(ask(Method::OPTIONS, "/api/v1/me", APP, false)).await;
    answer.is_problem(405, "method_not_allowed");
    // And where nobody is listed, nobody is.
    let app = TestApp::new();
    let answer = app.send(ask(Method::OPTIONS, "/api/v1/me", APP, true)).await;
    answer.is_problem(405, "method_not_allowed");
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("vary")), ("", ""));
}
