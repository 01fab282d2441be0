//! Connections that end because the session, the account or the place is gone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PASSWORD, Parlor, Person, Socket};

/// The promised second, and what a busy machine may add to it.
const SOON: Duration = Duration::from_secs(1 + 4);

async fn closed_soon(socket: &mut Socket) -> Option<u16> {
    let since = Instant::now();
    let code = socket.close_code().await;
    assert!(since.elapsed() < SOON, "closed only after {:?}", since.elapsed());
    code
}

#[tokio::test]
async fn signing_out_closes_the_sessions_own_connections() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let elsewhere = Person::sign_in(server.addr, "ann").await;
    let ben = server.person("ben").await;
    let room = ann.room("General").await;
    let (mut one, mut two) = (ann.enter(room).await, ann.connect().await);
    let (mut other, mut b) = (elsewhere.enter(room).await, ben.enter(room).await);
    assert_eq!(ann.api.post("/signout", &Value::Null).await.status, 204);
    assert_eq!(closed_soon(&mut one).await, Some(4401));
    assert_eq!(closed_soon(&mut two).await, Some(4401));
    other.chat(room, "still here").await;
    assert_eq!(other.find("chat").await["username"], "ann");
    assert_eq!(b.find("chat").await["message"], "still here");
}

#[tokio::test]
async fn a_new_password_closes_the_other_sessions() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let (other, ben) = (Person::sign_in(server.addr, "ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let (mut kept, mut b) = (ann.enter(room).await, ben.enter(room).await);
    let mut closed = other.enter(room).await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": "another password"});
    assert_eq!(ann.api.post("/me/password", &body).await.status, 204);
    assert_eq!(closed_soon(&mut closed).await, Some(4401));
    kept.chat(room, "kept").await;
    assert_eq!(kept.find("chat").await["message"], "kept");
    assert_eq!(b.find("chat").await["message"], "kept");
}

#[tokio::test]
async fn a_deleted_account_is_gone_but_not_what_it_said() {
    let server = Parlor::start().await;
    let (ben, ann) = (server.person("ben").await, server.person("ann").await);
    let elsewhere = Person::sign_in(server.addr, "ann").await;
    let room = ben.room("General").await;
    let (mut one, mut two) = (ann.enter(room).await, elsewhere.enter(room).await);
    one.chat_with_id(room, "remember me", "c1").await;
    one.find("ack").await;
    let request = ann.api.request("DELETE", "/me").json(&json!({"password": PASSWORD}));
    assert_eq!(crate::support::Api::send(request).await.status, 204);
    assert_eq!(closed_soon(&mut one).await, Some(4401));
    assert_eq!(closed_soon(&mut two).await, Some(4401));
    let mut b = ben.connect().await;
    b.join_after(room, 0).await;
    let chat = b.find("chat").await;
    assert_eq!(
        (&chat["username"], &chat["message"]),
        (&json!("deleted user"), &json!("remember me"))
    );
    assert_eq!(ben.history(room).await[0]["username"], "deleted user");
    let path = format!("/ws?token={}", ann.token);
    assert_eq!(Socket::open(server.addr, &path).await.close_code().await, Some(4401));
    let again = server.person("ann").await;
    assert_ne!(again.user_id, ann.user_id, "the name is free, the account another");
}

#[tokio::test]
async fn a_sign_out_while_connections_open_leaves_none_behind() {
    let server = Parlor::start().await;
    server.person("ann").await;
    for _ in 0..10 {
        let ann = Person::sign_in(server.addr, "ann").await;
        let path = format!("/ws?token={}", ann.token);
        let opening: Vec<_> = (0..5)
            .map(|_| {
                let (addr, path) = (server.addr, path.clone());
                tokio::spawn(async move { Socket::open(addr, &path).await.close_code().await })
            })
            .collect();
        assert_eq!(ann.api.post("/signout", &Value::Null).await.status, 204);
        for opening in opening {
            assert_eq!(opening.await.expect("a socket"), Some(4401));
        }
    }
}

#[tokio::test]
async fn one_connection_too_many_closes_the_users_oldest() {
    let server = Parlor::start_with(|config| config.limits.connections_per_user = 2).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let mut b = ben.enter(room).await;
    let mut first = ann.enter(room).await;
    let mut second = ann.enter(room).await;
    let mut third = ann.enter(room).await;
    assert_eq!(first.close_code().await, Some(4409));
    for socket in [&mut second, &mut third, &mut b] {
        assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
    }
    second.close().await;
    let mut fourth = ann.enter(room).await;
    third.chat(room, "both here").await;
    assert_eq!(fourth.find("chat").await["message"], "both here");
    assert_eq!(third.find("chat").await["message"], "both here");
}

#[tokio::test]
async fn one_connection_too_many_for_the_server_is_sent_away() {
    let server = Parlor::start_with(|config| config.limits.connections = 2).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let (first, mut second) = (ann.connect().await, ann.connect().await);
    let path = format!("/ws?token={}", ben.token);
    assert_eq!(Socket::open(server.addr, &path).await.close_code().await, Some(1013));
    assert_eq!(second.ask(json!({"type": "ping"})).await["type"], "pong");
    assert_eq!(ben.api.get("/me").await.status, 200, "HTTP goes on");
    first.close().await;
    // The place is free as soon as the server has seen the end.
    loop {
        let mut socket = Socket::open(server.addr, &path).await;
        match socket.next_or_code().await {
            Some(Ok(hello)) => {
                assert_eq!(hello["type"], "hello");
                break;
            }
            refused => assert_eq!(refused, Some(Err(1013))),
        }
    }
}
