//! What HTTP looks like from outside: one port, its timeouts and bounds.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Parlor, within};

/// Sends `request` as it is and reads to the end of the connection.
async fn raw(server: &Parlor, request: &str) -> String {
    let mut tcp = TcpStream::connect(server.addr).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("the end of the answer", tcp.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn page_api_and_socket_share_one_port() {
    let server = Parlor::start().await;
    let page = raw(&server, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<html"), "{page}");
    let answer = server.api().get("/rooms").await;
    assert_eq!((answer.status, answer.code()), (401, "unauthorized"));
    let socket = raw(&server, "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(socket.starts_with("HTTP/1.1 426 "), "{socket}");
    server.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_with_a_request_id() {
    let server = Parlor::start().await;
    for (method, path, status, code) in [
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/rooms", 405, "method_not_allowed"),
        ("DELETE", "/signup", 405, "method_not_allowed"),
    ] {
        let answer = crate::support::Api::send(server.api().request(method, path)).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert_eq!(answer.json["requestId"], id);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_and_the_server_goes_on() {
    let server = Parlor::start().await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let answer = raw(&server, &long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.api().get("/rooms").await.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn garbage_ends_its_connection_and_nothing_else() {
    let server = Parlor::start().await;
    for garbage in ["hello\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let answer = raw(&server, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(server.api().get("/rooms").await.status, 401);
    server.stop().await;
}

/// An answer to a body that is refused by its length once was lost: the server closed while the
/// client was still sending, and the kernel answered with a reset.
#[tokio::test]
async fn a_refused_body_of_megabytes_still_gets_its_answer() {
    let server = Parlor::start().await;
    for _ in 0..10 {
        let body = format!(r#"{{"username":"{}"}}"#, "x".repeat(3_000_000));
        let request = server.api().request("POST", "/signup").body(body);
        let request = request.header("content-type", "application/json");
        let answer = crate::support::Api::send(request).await;
        assert_eq!((answer.status, answer.code()), (413, "too_large"));
    }
    server.stop().await;
}

/// Takes the fifteen seconds that a head is given.
#[tokio::test]
async fn a_head_that_never_ends_is_given_up_on() {
    let server = Parlor::start().await;
    let answer = raw(&server, "GET / HTTP/1.1\r\nhost: x\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn sixteen_who_sign_up_under_one_name_at_once() {
    let server = Parlor::start().await;
    let tries = (0..16).map(|index| {
        let api = server.api();
        let name = if index % 2 == 0 { "ann" } else { "ANN" };
        tokio::spawn(async move {
            let body = json!({"username": name, "password": "correct horse"});
            api.post("/signup", &body).await
        })
    });
    let mut won = 0;
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.status {
            201 => won += 1,
            409 => assert_eq!(answer.code(), "username_taken"),
            other => panic!("{other}: {}", answer.json),
        }
    }
    assert_eq!(won, 1);
    server.stop().await;
}

#[tokio::test]
async fn accepted_sockets_are_bounded_and_come_back() {
    let server = Parlor::start_with(|config| config.limits.connections = 1).await;
    // As many idle ones as there may be beside the one WebSocket.
    let idle = parlor::domain::limits::HTTP_CONNECTIONS + 1;
    let mut open = Vec::new();
    for _ in 0..idle {
        let mut tcp = TcpStream::connect(server.addr).await.unwrap();
        tcp.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        within("an answer", tcp.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        open.push(tcp);
    }
    let mut waiting = TcpStream::connect(server.addr).await.unwrap();
    waiting
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    drop(open);
    within("its turn", waiting.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.stop().await;
}
