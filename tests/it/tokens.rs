//! Which tokens open a socket, and which keep it open.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::raw::Raw;
use crate::support::{Api, PASSWORD, Parlor, Person, Socket};

/// What the token says, without asking whether it is true.
fn claims(token: &str) -> Value {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).expect("a token");
    claims.claims
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &[u8]) -> String {
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("a token")
}

/// The secret of this server, which the tests therefore can sign with.
const SECRET: &str = "a secret of at least thirty-two bytes";

async fn with_known_secret() -> Parlor {
    Parlor::start_with(|config| {
        let secret = parlor::config::Secret::new(SECRET.into());
        config.auth.secret = Some(secret.expect("long enough"));
    })
    .await
}

async fn closed_with(server: &Parlor, token: &str) -> Option<u16> {
    Socket::open(server.addr, &format!("/ws?token={token}")).await.close_code().await
}

#[tokio::test]
async fn a_bad_token_opens_and_is_closed_with_4401() {
    let server = with_known_secret().await;
    let ann = server.person("ann").await;
    let good = claims(&ann.token);
    let change = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        signed(&claims, Algorithm::HS256, SECRET.as_bytes())
    };
    // What is signed here counts: otherwise nothing below would show anything.
    let resigned = signed(&good, Algorithm::HS256, SECRET.as_bytes());
    let path = format!("/ws?token={resigned}");
    assert_eq!(Socket::open(server.addr, &path).await.recv().await["type"], "hello");

    let (body, signature) = ann.token.rsplit_once('.').expect("three parts");
    let (_, payload) = body.split_once('.').expect("three parts");
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}");
    let bad = [
        ("empty", String::new()),
        ("nonsense", "nonsense".to_owned()),
        ("too long", "a".repeat(10_000)),
        ("truncated", ann.token[..ann.token.len() - 1].to_owned()),
        ("without its signature", format!("{body}.")),
        ("of two parts", body.to_owned()),
        ("alg none", format!("{none}.")),
        ("alg none with a signature", format!("{none}.{signature}")),
        ("another secret", signed(&good, Algorithm::HS256, b"another secret of enough bytes...")),
        ("another algorithm", signed(&good, Algorithm::HS384, SECRET.as_bytes())),
        ("expired", change("exp", json!(1_000_000_000))),
        ("another issuer", change("iss", json!("somebody"))),
        ("another session", change("sid", json!("0".repeat(32)))),
        ("another user", change("sub", json!("77"))),
    ];
    for (what, token) in bad {
        assert_eq!(closed_with(&server, &token).await, Some(4401), "{what}");
        let answer = server.api().with_token(&token).get("/me").await;
        assert_eq!(answer.status, 401, "{what}");
    }
    let mut socket = Socket::open(server.addr, "/ws").await;
    assert_eq!(socket.close_code().await, Some(4401), "no token at all");
    assert_eq!(ann.api.post("/signout", &Value::Null).await.status, 204);
    assert_eq!(closed_with(&server, &ann.token).await, Some(4401), "revoked");
}

#[tokio::test]
async fn a_refused_socket_hears_nothing_but_the_close() {
    let server = Parlor::start().await;
    let mut raw = Raw::open(server.addr, "/ws?token=bad", "", None).await;
    let frame = raw.recv().await.expect("a frame");
    assert_eq!(frame.first, crate::raw::CLOSE);
    assert_eq!(frame.payload.first_chunk(), Some(&4401_u16.to_be_bytes()));
    assert_eq!(raw.recv().await, None, "and the end, not a reset");
}

#[tokio::test]
async fn the_token_may_stand_in_the_header() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let header = format!("Authorization: Bearer {}\r\n", ann.token);
    let mut raw = Raw::open(server.addr, "/ws", &header, None).await;
    assert_eq!(raw.recv_json().await["userId"], ann.user_id);
}

#[tokio::test]
async fn two_tokens_open_no_socket() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let header = format!("Authorization: Bearer {}\r\n", ann.token);
    let twice = format!("/ws?token={0}&token={0}", ann.token);
    for (path, headers) in [("/ws", header.repeat(2)), (twice.as_str(), String::new())] {
        let mut raw = Raw::open(server.addr, path, &headers, None).await;
        let frame = raw.recv().await.expect("a frame");
        assert_eq!(frame.payload.first_chunk(), Some(&4401_u16.to_be_bytes()), "{path}");
    }
}

#[tokio::test]
async fn the_connection_ends_with_its_token() {
    let server = Parlor::start_with(|config| config.auth.token_ttl = Duration::from_secs(3)).await;
    let body = json!({"username": "ann", "password": PASSWORD});
    let answer = server.api().post("/signup", &body).await;
    let token = answer.json["token"].as_str().expect("a token");
    let path = format!("/ws?token={token}");
    let mut socket = Socket::open(server.addr, &path).await;
    assert_eq!(socket.recv().await["type"], "hello");
    let mut kept = Socket::open(server.addr, &path).await;
    kept.expect("hello").await;
    assert_eq!(socket.close_code().await, Some(4401));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis();
    let expires_at = answer.json["expiresAt"].as_u64().expect("a time");
    assert!(now >= u128::from(expires_at), "not before: {now} {expires_at}");
    assert_eq!(kept.close_code().await, Some(4401));
    assert_eq!(closed_with(&server, token).await, Some(4401), "and cannot be opened again");
}

#[tokio::test]
async fn a_refresh_outlasts_the_first_token() {
    let server = Parlor::start_with(|config| config.auth.token_ttl = Duration::from_secs(4)).await;
    let ann = server.person("ann").await;
    let (mut kept, mut left) = (ann.connect().await, ann.connect().await);
    // Times are whole seconds: until the next one a new token is no newer.
    let old = claims(&ann.token)["exp"].as_u64().expect("a time");
    let newer = loop {
        let answer = ann.api.post("/refresh", &Value::Null).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        if answer.json["expiresAt"].as_u64().expect("a time") > old * 1_000 {
            break answer.json;
        }
    };
    let refreshed = kept.ask(json!({"type": "refresh", "token": newer["token"]})).await;
    let expected = json!({"type": "refreshed", "expiresAt": newer["expiresAt"], "ref": "asked"});
    assert_eq!(refreshed, expected);
    assert_eq!(left.close_code().await, Some(4401), "the first token has ended");
    // The other one may be near its end too by now, but no more than that.
    match kept.close_code().await {
        Some(4401) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis();
            assert!(now >= u128::from(newer["expiresAt"].as_u64().expect("a time")));
        }
        other => panic!("closed with {other:?}"),
    }
}

#[tokio::test]
async fn a_refreshed_connection_belongs_to_the_new_session() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let newer = Person::sign_in(server.addr, "ann").await;
    let room = ann.room("General").await;
    let mut socket = ann.enter(room).await;
    let answer = socket.ask(json!({"type": "refresh", "token": newer.token})).await;
    assert_eq!(answer["type"], "refreshed");
    let mut stays_old = ann.connect().await;
    assert_eq!(ann.api.post("/signout", &Value::Null).await.status, 204);
    assert_eq!(stays_old.close_code().await, Some(4401));
    socket.chat(room, "still here").await;
    assert_eq!(socket.find("chat").await["message"], "still here");
    assert_eq!(newer.api.post("/signout", &Value::Null).await.status, 204);
    assert_eq!(socket.close_code().await, Some(4401), "with its new session it ends");
}

#[tokio::test]
async fn a_refresh_with_a_wrong_token_changes_nothing() {
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let gone = Person::sign_in(server.addr, "ann").await;
    assert_eq!(gone.api.post("/signout", &Value::Null).await.status, 204);
    let room = ann.room("General").await;
    let mut socket = ann.enter(room).await;
    for token in [json!(ben.token), json!(gone.token), json!("nonsense"), json!(5), Value::Null] {
        let answer = socket.ask(json!({"type": "refresh", "token": token})).await;
        assert_eq!(answer["code"], "invalid", "{answer}");
        assert_eq!(answer["errors"][0]["field"], "token", "{answer}");
    }
    socket.chat(room, "still ann").await;
    assert_eq!(socket.find("chat").await["username"], "ann");
    assert_eq!(Api::new(server.addr).with_token(&ben.token).get("/me").await.status, 200);
    assert_eq!(ben.api.post("/signout", &Value::Null).await.status, 204);
    socket.chat(room, "not ben's").await;
    assert_eq!(socket.find("chat").await["message"], "not ben's");
    assert_eq!(ann.api.post("/signout", &Value::Null).await.status, 204);
    assert_eq!(socket.close_code().await, Some(4401));
}
