//! Whatever is logged, no password and no token is in it.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::process::{Signal, UNHURRIED, start};
use crate::support::{Api, Person, Socket};

const RIGHT: &str = "swordfish-4711";
const WRONG: &str = "swordfish-0815";
const NEW: &str = "marlin-and-tuna";

#[tokio::test]
async fn the_log_never_holds_a_password_or_a_token() {
    for format in ["text", "json"] {
        let place = tempfile::tempdir().unwrap();
        let log = [("PARLOR_LOG__FILTER", "trace"), ("PARLOR_LOG__FORMAT", format)];
        let environment = [&UNHURRIED[..], &log].concat();
        let mut program = start(place.path(), &[], &environment);
        let addr = program.addr().await;
        let tokens = live(addr).await;
        program.signal(Signal::TERM);
        let ended = program.ended().await;
        assert_eq!(ended.code, Some(0));
        assert!(ended.err.contains("/api/v1/signin"), "something is logged: {}", ended.err);
        if format == "json" {
            let is_object = |line| matches!(serde_json::from_str(line), Ok(Value::Object(_)));
            assert!(ended.err.lines().all(is_object));
        }

        let signatures = tokens.iter().map(|token| token.rsplit('.').next().unwrap());
        let whole = tokens.iter().map(String::as_str);
        let secrets: Vec<_> =
            [RIGHT, WRONG, NEW].into_iter().chain(whole.chain(signatures)).collect();
        for secret in &secrets {
            assert!(secret.len() >= 12, "{secret}");
            for printed in [&ended.out, &ended.err] {
                let line = printed.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "holds {secret}");
            }
        }
    }
}

/// Uses passwords and tokens in every way there is; gives all tokens.
async fn live(addr: std::net::SocketAddr) -> Vec<String> {
    let account = |password: &str| json!({"username": "ann", "password": password});
    let token = |answer: &crate::support::Answer| answer.json["token"].as_str().unwrap().to_owned();
    let api = Api::new(addr);
    let signed_up = api.post("/signup", &account(RIGHT)).await;
    let first = token(&signed_up);
    assert_eq!(api.post("/signup", &account(RIGHT)).await.status, 409);
    assert_eq!(api.post("/signin", &account(WRONG)).await.status, 401);
    let second = token(&api.post("/signin", &account(RIGHT)).await);
    // A password where it does not belong.
    let faulty = json!({"username": RIGHT.repeat(9), "password": 5, "displayName": [WRONG]});
    assert_eq!(api.post("/signup", &faulty).await.status, 422);
    let bearer = api.with_token(&second);
    let third = token(&bearer.post("/refresh", &json!({})).await);

    let mut socket = Socket::open(addr, &format!("/ws?token={second}")).await;
    socket.expect("hello").await;
    let refreshed = socket.ask(json!({"type": "refresh", "token": third})).await;
    assert_eq!(refreshed["type"], "refreshed");
    socket.send(&json!({"type": "refresh", "token": format!("{third}x")})).await;
    socket.send_text(&format!("{{\"token\":\"{first}\"")).await;
    socket.settle().await;
    socket.send_message(Message::binary(third.clone())).await;
    socket.close_code().await;

    let room = bearer.post("/rooms", &json!({"name": "General"})).await;
    assert_eq!(room.status, 201);
    for (token, status) in [(third.clone(), 422), (format!("{third}x"), 401)] {
        let path = format!("/rooms/1/events?token={token}&after=x");
        assert_eq!(api.get(&path).await.status, status);
    }

    // The way of a token into a path that is not there, and into a wrong header.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: String| client.get(format!("http://{addr}{path}"));
    assert_eq!(get(format!("/wss?token={third}")).send().await.unwrap().status(), 404);
    let basic = get("/api/v1/me".to_owned()).basic_auth(RIGHT, Some(&third));
    assert_eq!(basic.send().await.unwrap().status(), 401);
    let mut refused = Socket::open(addr, &format!("/ws?token={third}x")).await;
    assert_eq!(refused.close_code().await, Some(4401));

    let change = |current: &str| json!({"currentPassword": current, "newPassword": NEW});
    let bearer = api.with_token(&third);
    assert_eq!(bearer.post("/me/password", &change(WRONG)).await.status, 422);
    assert_eq!(bearer.post("/me/password", &change(RIGHT)).await.status, 204);
    let ann = api.post("/signin", &account(NEW)).await;
    let ann = Person { addr, user_id: 1, username: "ann".into(), token: token(&ann), api };
    ann.api.with_token(&ann.token).post("/signout", &json!({})).await;
    vec![first, second, third, ann.token]
}
