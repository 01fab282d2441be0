//! Which tokens are good, and for how long.

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::*;
use crate::auth::Tokens;

#[tokio::test]
async fn a_token_lasts_until_its_expiry_and_not_a_moment_longer() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    app.clock.set(NOW + 3_600_000 - 1);
    assert_eq!(app.get("/api/v1/me", &token).await.status, 200);
    app.clock.set(NOW + 3_600_000);
    app.get("/api/v1/me", &token).await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_refreshed_token_lasts_longer_and_the_old_one_as_long_as_it_said() {
    let app = TestApp::new();
    let old = app.sign_up("ann").await;
    app.clock.set(NOW + 1_000_000);
    let answer = app.call(Method::POST, "/api/v1/refresh", &old, None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["expiresAt"], NOW + 4_600_000);
    assert_eq!(answer.json.as_object().unwrap().len(), 2);
    let new = answer.json["token"].as_str().unwrap();
    assert_eq!(app.get("/api/v1/me", &old).await.status, 200);
    app.clock.set(NOW + 4_000_000);
    app.get("/api/v1/me", &old).await.is_problem(401, "unauthorized");
    assert_eq!(app.get("/api/v1/me", new).await.status, 200);
}

#[tokio::test]
async fn signing_out_ends_the_session_with_all_its_tokens() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    app.clock.set(NOW + 5_000);
    let newer = app.call(Method::POST, "/api/v1/refresh", &token, None).await;
    let newer = newer.json["token"].as_str().unwrap();
    assert_eq!(app.call(Method::POST, "/api/v1/signout", &token, None).await.status, 204);
    for ended in [&token, newer] {
        app.get("/api/v1/me", ended).await.is_problem(401, "unauthorized");
        let again = app.call(Method::POST, "/api/v1/refresh", ended, None).await;
        again.is_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn what_is_not_signed_as_ours_is_no_token() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    let claims = Tokens::new(&app.secret).verify(&token, NOW).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let claims_json = json!({
        "sub": "1", "sid": claims.session.to_string(), "iat": NOW / 1000,
        "exp": NOW / 1000 + 3_600, "iss": "parlor",
    });
    let signed = |algorithm| {
        let key = EncodingKey::from_secret(&app.secret);
        jsonwebtoken::encode(&Header::new(algorithm), &claims_json, &key).unwrap()
    };
    assert_eq!(app.get("/api/v1/me", &signed(Algorithm::HS256)).await.status, 200);
    // {"alg":"none"}
    let none = "eyJhbGciOiJub25lIn0";
    for bad in [
        Tokens::new(b"another secret of enough bytes, so it seems").mint(&claims).unwrap(),
        signed(Algorithm::HS512),
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{none}.{payload}"),
        token[..token.len() - 1].to_owned(),
        token[..token.len() / 2].to_owned(),
        format!("{token}x"),
        format!("{token} {token}"),
        "x".to_owned(),
        "x".repeat(10_000),
    ] {
        app.get("/api/v1/me", &bad).await.is_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn the_scheme_has_any_case_and_anything_else_is_refused() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    for (header, status) in [
        (format!("bearer {token}"), 200),
        (format!("BEARER {token}"), 200),
        (format!("Basic {token}"), 401),
        (token.clone(), 401),
        (String::new(), 401),
    ] {
        let request = Request::get("/api/v1/me").header("authorization", &header);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{header}");
    }
    let query = format!("/api/v1/me?token={token}");
    app.get(&query, "").await.is_problem(401, "unauthorized");
}

/// The socket took the first of several tokens and the stream of events the last.
#[tokio::test]
async fn two_tokens_are_none() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    app.room(&token, "Den").await;
    let bearer = format!("Bearer {token}");
    let me = Request::get("/api/v1/me").header("authorization", &bearer);
    let me = me.header("authorization", &bearer).body(Body::empty()).unwrap();
    app.send(me).await.is_problem(401, "unauthorized");
    let events = "/api/v1/rooms/1/events";
    let twice = format!("{events}?token={token}&token={token}");
    app.get(&twice, "").await.is_problem(401, "unauthorized");
    app.get(&twice, &token).await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn all_but_the_front_door_needs_a_token() {
    let app = TestApp::new();
    for (method, path) in document::operations() {
        let open = ["/api/v1/signup", "/api/v1/signin", "/livez", "/readyz", "/openapi.json"];
        let answer = app.call(method, &path.replace("{room}", "1"), "", None).await;
        assert_eq!(answer.status == 401, !open.contains(&path.as_str()), "{path}");
    }
}
