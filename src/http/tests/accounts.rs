//! Accounts: made, used, changed, ended.

use std::net::SocketAddr;

use tokio::task::JoinSet;

use super::*;
use crate::http::PeerAddr;

#[tokio::test]
async fn the_first_account_is_the_admin_and_the_next_are_members() {
    let app = TestApp::new();
    let body = json!({"username": "Ann", "password": PASSWORD, "displayName": "Ann 🦀"});
    let answer = app.post("/api/v1/signup", "", body).await;
    assert_eq!(answer.status, 201);
    let user = json!({
        "userId": 1, "username": "Ann", "displayName": "Ann 🦀", "role": "admin", "createdAt": NOW,
    });
    assert_eq!(answer.json["user"], user);
    assert_eq!(answer.json["expiresAt"], NOW + 3_600_000);
    let token = answer.json["token"].as_str().unwrap();
    assert_eq!(app.get("/api/v1/me", token).await.json, json!({"user": user}));

    let body = json!({"username": "ben", "password": PASSWORD, "displayName": null, "x": [1]});
    let answer = app.post("/api/v1/signup", "", body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json["user"]["role"], "member");
    assert_eq!(answer.json["user"]["displayName"], "ben");
}

#[tokio::test]
async fn every_fault_of_a_sign_up_is_told_at_once() {
    let app = TestApp::new();
    let answer = app.post("/api/v1/signup", "", json!({})).await;
    answer.is_invalid(&["username", "password"]);
    let body = json!({"username": "a b", "password": 7, "displayName": "", "setupCode": true});
    let answer = app.post("/api/v1/signup", "", body).await;
    answer.is_invalid(&["username", "password", "displayName", "setupCode"]);
    assert_eq!(answer.json["errors"][1]["message"], "must be a string");
}

#[tokio::test]
async fn a_name_is_taken_in_any_case_and_free_after_its_account() {
    let app = TestApp::new();
    let token = app.sign_up("Ann").await;
    let again = json!({"username": "aNN", "password": PASSWORD});
    app.post("/api/v1/signup", "", again.clone()).await.is_problem(409, "username_taken");
    let body = Some(json!({"password": PASSWORD}));
    let answer = app.call(Method::DELETE, "/api/v1/me", &token, body).await;
    assert_eq!(answer.status, 204);
    app.get("/api/v1/me", &token).await.is_problem(401, "unauthorized");
    assert_eq!(app.post("/api/v1/signup", "", again).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_who_want_a_name_at_once_one_gets_it() {
    let app = TestApp::new();
    let mut calls = JoinSet::new();
    for index in 0..16 {
        let name = if index % 2 == 0 { "ann" } else { "ANN" };
        let body = json!({"username": name, "password": PASSWORD});
        let router = app.router.clone();
        calls.spawn(router.oneshot(request(Method::POST, "/api/v1/signup", "", Some(body))));
    }
    let answers = calls.join_all().await;
    let mut statuses: Vec<_> = answers.into_iter().map(|it| it.unwrap().status()).collect();
    statuses.sort();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
}

#[tokio::test]
async fn a_closed_server_makes_no_accounts() {
    let app = TestApp::with(Options { signup: Signup::Closed, ..Options::default() });
    let body = json!({"username": "ann", "password": PASSWORD});
    app.post("/api/v1/signup", "", body).await.is_problem(403, "signup_closed");
}

#[tokio::test]
async fn the_first_account_may_need_the_setup_code() {
    let code = Some("abcd-efgh-ijkm".to_owned());
    let app = TestApp::with(Options { setup_code: code, ..Options::default() });
    let sign_up = |name: &str, setup_code: Value| {
        let mut body = json!({"username": name, "password": PASSWORD});
        body["setupCode"] = setup_code;
        body
    };
    for wrong in [Value::Null, json!("abcd-efgh-ijkl"), json!("")] {
        app.post("/api/v1/signup", "", sign_up("ann", wrong)).await.is_invalid(&["setupCode"]);
    }
    let right = json!("abcd-efgh-ijkm");
    assert_eq!(app.post("/api/v1/signup", "", sign_up("ann", right)).await.status, 201);
    assert_eq!(app.post("/api/v1/signup", "", sign_up("ben", Value::Null)).await.status, 201);
}

#[tokio::test]
async fn signing_in_needs_the_name_in_any_case_and_the_password() {
    let app = TestApp::new();
    app.sign_up("Ann").await;
    let sign_in = |name: &str, password: &str| json!({"username": name, "password": password});
    let answer = app.post("/api/v1/signin", "", sign_in("ann", PASSWORD)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["user"]["username"], "Ann");
    let token = answer.json["token"].as_str().unwrap();
    assert_eq!(app.get("/api/v1/me", token).await.status, 200);
    for (name, password) in [
        ("Ann", "correct horse batterx"),
        ("nobody", PASSWORD),
        ("not a name", PASSWORD),
        ("Ann", "short"),
        ("Ann", "\u{0}control characters"),
        ("Ann", &"p".repeat(129)),
    ] {
        let answer = app.post("/api/v1/signin", "", sign_in(name, password)).await;
        answer.is_problem(401, "unauthorized");
        assert_eq!(answer.json["detail"], "wrong user name or password");
    }
}

#[tokio::test]
async fn what_is_missing_at_sign_in_is_a_fault() {
    let app = TestApp::new();
    let faults = [
        (json!({}), &["username", "password"][..]),
        (json!({"username": "", "password": ""}), &["username", "password"]),
        (json!({"username": 1, "password": []}), &["username", "password"]),
        (json!({"username": "x".repeat(129), "password": PASSWORD}), &["username"]),
    ];
    for (body, fields) in faults {
        app.post("/api/v1/signin", "", body).await.is_invalid(fields);
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let app = TestApp::new();
    let first = app.sign_up("ann").await;
    let sign_in = json!({"username": "ann", "password": PASSWORD});
    let second = app.post("/api/v1/signin", "", sign_in.clone()).await;
    let second = second.json["token"].as_str().unwrap();
    let change = |current: &str, new: &str| json!({"currentPassword": current, "newPassword": new});
    let path = "/api/v1/me/password";
    app.post(path, &first, json!({})).await.is_invalid(&["currentPassword", "newPassword"]);
    let wrong = change("not the password", "another password");
    app.post(path, &first, wrong).await.is_invalid(&["currentPassword"]);
    let right = change(PASSWORD, "another password");
    assert_eq!(app.post(path, &first, right).await.status, 204);
    assert_eq!(app.get("/api/v1/me", &first).await.status, 200);
    app.get("/api/v1/me", second).await.is_problem(401, "unauthorized");
    app.post("/api/v1/signin", "", sign_in).await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn an_account_ends_only_with_its_password() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    for (body, fields) in [
        (json!({}), &["password"]),
        (json!({"password": "short"}), &["password"]),
        (json!({"password": "not the password"}), &["password"]),
    ] {
        let answer = app.call(Method::DELETE, "/api/v1/me", &token, Some(body)).await;
        answer.is_invalid(fields);
    }
    assert_eq!(app.get("/api/v1/me", &token).await.status, 200);
}

#[tokio::test]
async fn an_address_signs_in_only_so_often() {
    let limits = Limits { sign_ins_per_minute: 2, ..Limits::default() };
    let app = TestApp::with(Options { limits, ..Options::default() });
    let from = |address: &str| {
        let body = json!({"username": "nobody", "password": PASSWORD});
        let mut request = request(Method::POST, "/api/v1/signin", "", Some(body));
        let address: SocketAddr = address.parse().unwrap();
        request.extensions_mut().insert(PeerAddr(address));
        request
    };
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(app.send(from("192.0.2.1:5")).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 429, 429], "one failure closes the account to the address");
    app.send(from("192.0.2.1:6")).await.is_problem(429, "rate_limited");
    app.send(from("192.0.2.2:5")).await.is_problem(401, "unauthorized");
}
