//! The session's cookie over real sockets: from the server's own page, and from others.

use parlor::config::Config;
use parlor::domain::WebOrigin;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::raw::{CLOSE, Raw};
use crate::support::{Answer, Api, PASSWORD, Parlor};

fn public(url: &'static str) -> impl FnOnce(&mut Config) {
    move |config| config.public_url = WebOrigin::parse(url)
}

/// Signs ann up as a page does; gives `name=value` of the cookie.
async fn sign_up(server: &Parlor, origin: &str) -> String {
    let mut body = json!({"username": "ann", "password": PASSWORD, "cookie": true});
    body["setupCode"] = json!(server.setup_code);
    let request = server.api().request("POST", "/signup").json(&body);
    let answer = Api::send(request.header("origin", origin)).await;
    assert_eq!(answer.status, 201, "{:?}", answer.json);
    cookie_of(&answer)
}

fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.headers["set-cookie"].to_str().expect("text");
    cookie.split(';').next().expect("a pair").to_owned()
}

async fn call(request: RequestBuilder, origin: &str, cookie: &str) -> Answer {
    Api::send(request.header("origin", origin).header("cookie", cookie)).await
}

/// What a socket with these headers hears first: `hello`, or the code with which it is closed.
async fn first(server: &Parlor, path: &str, headers: &str) -> Result<Value, u16> {
    let mut raw = Raw::open(server.addr, path, headers, None).await;
    let frame = raw.recv().await.expect("a frame");
    if frame.first == CLOSE {
        return Err(u16::from_be_bytes(*frame.payload.first_chunk().expect("a code")));
    }
    Ok(serde_json::from_slice(&frame.payload).expect("JSON"))
}

#[tokio::test]
async fn a_page_of_the_server_signs_up_talks_and_signs_out_without_seeing_a_token() {
    let server = Parlor::start().await;
    let own = format!("http://{}", server.addr);
    let cookie = sign_up(&server, &own).await;
    let api = server.api();
    let room = api.request("POST", "/rooms").json(&json!({"name": "Den"}));
    assert_eq!(call(room, &own, &cookie).await.status, 201);
    let message = || api.request("POST", "/rooms/den/messages").json(&json!({"message": "hi"}));
    assert_eq!(call(message(), &own, &cookie).await.status, 201);
    let page = api.request("GET", "/rooms/den/messages").header("sec-fetch-site", "same-origin");
    let page = Api::send(page.header("cookie", &cookie)).await;
    assert_eq!(page.json["messages"][0]["username"], "ann");

    // A neighbour has set one of the same name.
    let headers = format!("Origin: {own}\r\nCookie: parlor_session=tossed; {cookie}\r\n");
    let mut socket = Raw::open(server.addr, "/ws", &headers, None).await;
    assert_eq!(socket.recv_json().await["type"], "hello");
    let answer = call(api.request("POST", "/signout"), &own, &cookie).await;
    assert_eq!(answer.status, 204);
    let cleared = answer.headers["set-cookie"].to_str().expect("text");
    assert!(cleared.starts_with("parlor_session=; Max-Age=0; Path=/; HttpOnly"), "{cleared}");
    assert_eq!(socket.close_code().await, Some(4401), "with the session");
    assert_eq!(call(message(), &own, &cookie).await.status, 401);
    assert_eq!(first(&server, "/ws", &headers).await, Err(4401));
    server.stop().await;
}

#[tokio::test]
async fn a_new_password_closes_the_sockets_of_other_pages_and_not_the_own_ones() {
    let server = Parlor::start().await;
    let own = format!("http://{}", server.addr);
    let here = sign_up(&server, &own).await;
    let body = json!({"username": "ann", "password": PASSWORD, "cookie": true});
    let elsewhere = server.api().request("POST", "/signin").json(&body).header("origin", &own);
    let elsewhere = cookie_of(&Api::send(elsewhere).await);
    let mut sockets = Vec::new();
    for cookie in [&here, &elsewhere] {
        let headers = format!("Origin: {own}\r\nCookie: {cookie}\r\n");
        let mut socket = Raw::open(server.addr, "/ws", &headers, None).await;
        assert_eq!(socket.recv_json().await["type"], "hello");
        sockets.push(socket);
    }
    let change = json!({"currentPassword": PASSWORD, "newPassword": "a better battery"});
    let change = server.api().request("POST", "/me/password").json(&change);
    assert_eq!(call(change, &own, &here).await.status, 204);
    assert_eq!(sockets[1].close_code().await, Some(4401));
    sockets[0].text(&json!({"type": "ping"})).await;
    assert_eq!(sockets[0].find("pong").await["type"], "pong");
    let me = || server.api().request("GET", "/me");
    assert_eq!(call(me(), &own, &elsewhere).await.status, 401);
    assert_eq!(call(me(), &own, &here).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn no_other_page_can_use_it() {
    let server = Parlor::start().await;
    let own = format!("http://{}", server.addr);
    let cookie = sign_up(&server, &own).await;
    let token = cookie.strip_prefix("parlor_session=").expect("the cookie");
    let port = if server.addr.port() == 1_234 { 1_235 } else { 1_234 };
    for other in ["http://evil.example", "null", &format!("http://127.0.0.1:{port}")] {
        let room = || server.api().request("POST", "/rooms").json(&json!({"name": "Den"}));
        let answer = call(room(), other, &cookie).await;
        assert_eq!((answer.status, answer.code()), (401, "unauthorized"), "{other}");
        let events = server.api().request("GET", "/rooms/den/events");
        assert_eq!(call(events, other, &cookie).await.status, 401, "{other}");
        let headers = format!("Origin: {other}\r\nCookie: {cookie}\r\n");
        assert_eq!(first(&server, "/ws", &headers).await, Err(4401), "{other}");
        // What is given on purpose is believed whoever's page it is.
        let given = first(&server, &format!("/ws?token={token}"), &headers).await;
        assert_eq!(given.expect("hello")["type"], "hello", "{other}");
        let answer = call(room().bearer_auth(token), other, &cookie).await;
        assert_eq!(answer.status, 201, "{other}");
    }
    let bare = format!("Cookie: {cookie}\r\n");
    assert_eq!(first(&server, "/ws", &bare).await, Err(4401), "browsers always say where from");
    server.stop().await;
}

#[tokio::test]
async fn behind_a_proxy_the_public_url_decides() {
    let server = Parlor::start_with(public("https://chat.example.org")).await;
    let cookie = sign_up(&server, "https://chat.example.org").await;
    let me = || server.api().request("GET", "/me");
    assert_eq!(call(me(), "https://chat.example.org", &cookie).await.status, 200);
    let headers = format!("Origin: https://chat.example.org\r\nCookie: {cookie}\r\n");
    assert_eq!(first(&server, "/ws", &headers).await.expect("hello")["type"], "hello");
    let by_address = format!("http://{}", server.addr);
    for other in ["http://chat.example.org", "https://chat.example.org:444", &by_address] {
        assert_eq!(call(me(), other, &cookie).await.status, 401, "{other}");
        let headers = format!("Origin: {other}\r\nCookie: {cookie}\r\n");
        assert_eq!(first(&server, "/ws", &headers).await, Err(4401), "{other}");
    }
    server.stop().await;
}

/// Once such a page made the admin's account, and then its browser dropped the cookie: nobody could
/// use it, and there was no other way in.
#[tokio::test]
async fn a_page_whose_browser_would_drop_the_cookie_makes_no_account() {
    let server = Parlor::start_with(|config| {
        config.listen = "0.0.0.0:0".parse().expect("an address");
    })
    .await;
    let origin = format!("http://192.168.1.5:{}", server.addr.port());
    let sign_up = |cookie, origin: &str| {
        let body = json!({"username": "ann", "password": PASSWORD, "cookie": cookie,
                          "setupCode": server.setup_code});
        let request = server.api().request("POST", "/signup").json(&body);
        Api::send(request.header("host", &origin[7..]).header("origin", origin))
    };
    let answer = sign_up(true, &origin).await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{:?}", answer.json);
    let detail = answer.json["detail"].as_str().expect("a text");
    assert!(detail.contains(&format!("public_url = \"{origin}\"")), "{detail}");
    // There is no account yet: this one is the admin's. A page that keeps a token may make it.
    let answer = sign_up(false, &origin).await;
    assert_eq!((answer.status, &answer.json["user"]["role"]), (201, &json!("admin")));
    let body = json!({"username": "ann", "password": PASSWORD, "cookie": true});
    let sign_in = server.api().request("POST", "/signin").json(&body);
    let sign_in = sign_in.header("host", &origin[7..]).header("origin", &origin);
    assert_eq!(Api::send(sign_in).await.status, 403);
    server.stop().await;
}

/// Once whoever came by way of a proxy on the same machine, or of a name that a page's owner had
/// made lead to it, could have the admin's account.
#[tokio::test]
async fn the_first_account_of_a_server_for_one_machine_is_made_on_that_machine() {
    let server = Parlor::start().await;
    let body = json!({"username": "eve", "password": PASSWORD});
    let asks = || server.api().request("POST", "/signup").json(&body);
    for (name, value) in
        [("host", "chat.example.org"), ("x-forwarded-for", "192.0.2.1"), ("origin", "null")]
    {
        let answer = Api::send(asks().header(name, value)).await;
        assert_eq!((answer.status, answer.fields()), (422, vec!["setupCode"]), "{name}");
    }
    let rebound = asks().header("host", "evil.example").header("origin", "http://evil.example");
    assert_eq!(Api::send(rebound).await.status, 403);
    assert_eq!(Api::send(asks()).await.json["user"]["role"], "admin");
    server.stop().await;

    // Who comes through the proxy has the code, who is on the machine needs none.
    let server = Parlor::start_with(public("https://chat.example.org")).await;
    let asks = || server.api().request("POST", "/signup");
    let code = server.setup_code.clone().expect("a code");
    let through = |asks: RequestBuilder| asks.header("x-forwarded-for", "192.0.2.1");
    let answer = Api::send(through(asks().json(&body))).await;
    assert_eq!((answer.status, answer.fields()), (422, vec!["setupCode"]));
    let with_code = json!({"username": "ann", "password": PASSWORD, "setupCode": code});
    let answer = Api::send(through(asks().json(&with_code))).await;
    assert_eq!(answer.json["user"]["role"], "admin");
    server.stop().await;

    let server = Parlor::start_with(public("https://chat.example.org")).await;
    let asks = server.api().request("POST", "/signup").json(&body);
    assert_eq!(Api::send(asks).await.json["user"]["role"], "admin");
    server.stop().await;
}

#[tokio::test]
async fn events_are_streamed_to_the_own_page() {
    let server = Parlor::start().await;
    let own = format!("http://{}", server.addr);
    let cookie = sign_up(&server, &own).await;
    let room = server.api().request("POST", "/rooms").json(&json!({"name": "Den"}));
    assert_eq!(call(room, &own, &cookie).await.status, 201);
    let events = server.api().request("GET", "/rooms/den/events").header("cookie", &cookie);
    let events = events.header("sec-fetch-site", "same-origin").send().await.expect("an answer");
    assert_eq!(events.status(), 200);
    drop(events);
    server.stop().await;
}

#[tokio::test]
async fn a_listed_origin_may_call_with_a_token() {
    let server = Parlor::start_with(|config| {
        config.allowed_origins = vec![WebOrigin::parse("https://app.example.com").expect("one")];
    })
    .await;
    let ann = server.person("ann").await;
    let origin = "https://app.example.com";
    let asks = server.api().request("OPTIONS", "/rooms").header("origin", origin);
    let asks = asks.header("access-control-request-method", "POST");
    let told = Api::send(asks.header("access-control-request-headers", "authorization")).await;
    assert_eq!(told.status, 204);
    assert_eq!(told.headers["access-control-allow-origin"], origin);
    let made = ann.api.request("POST", "/rooms").json(&json!({"name": "Den"}));
    let made = Api::send(made.header("origin", origin)).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.headers["access-control-allow-origin"], origin);
    server.stop().await;
}
