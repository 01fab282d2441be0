//! Streams of events, at the speed of a test.

use super::*;

const EVENTS: &str = "/api/v1/rooms/1/events";

/// The body of a stream.
async fn open(app: &TestApp, method: Method, token: &str) -> Body {
    let request = request(method, EVENTS, token, None);
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.into_body()
}

/// The next chunk; `None` at the end.
async fn next(body: &mut Body) -> Option<String> {
    let data = body.frame().await?.unwrap().into_data().unwrap();
    Some(String::from_utf8(data.to_vec()).unwrap())
}

async fn with_room(keep_alive: Duration) -> (TestApp, String) {
    let app = TestApp::with(Options { keep_alive, ..Options::default() });
    let token = app.sign_up("ann").await;
    assert_eq!(app.room(&token, "Den").await, 1);
    (app, token)
}

#[tokio::test]
async fn silence_is_broken_by_comments_until_the_token_ends() {
    let (app, token) = with_room(Duration::from_millis(1)).await;
    let mut body = open(&app, Method::GET, &token).await;
    assert!(next(&mut body).await.unwrap().starts_with("event: joined\nid: 0\ndata: {"));
    for _ in 0..3 {
        assert_eq!(next(&mut body).await.unwrap(), ":\n\n");
    }
    app.post(&EVENTS.replace("events", "messages"), &token, json!({"message": "hi"})).await;
    let event = loop {
        let chunk = next(&mut body).await.unwrap();
        if chunk != ":\n\n" {
            break chunk;
        }
    };
    assert!(event.starts_with("id: 1\ndata: {\"type\":\"chat\","), "{event}");
    app.clock.set(NOW + u64::try_from(TTL.as_millis()).unwrap());
    while let Some(chunk) = next(&mut body).await {
        assert_eq!(chunk, ":\n\n");
    }
}

#[tokio::test]
async fn the_drain_ends_open_streams_and_new_ones() {
    let (app, token) = with_room(Duration::from_hours(1)).await;
    let mut open_before = open(&app, Method::GET, &token).await;
    assert!(next(&mut open_before).await.is_some());
    app.readiness.drain();
    let mut open_after = open(&app, Method::GET, &token).await;
    assert!(next(&mut open_after).await.unwrap().starts_with("event: joined"));
    for body in [&mut open_before, &mut open_after] {
        assert!(next(body).await.unwrap().starts_with("retry: "));
        assert_eq!(next(body).await, None);
    }
}

#[tokio::test]
async fn what_was_not_taken_counts_until_the_reader_goes() {
    let (app, token) = with_room(Duration::from_hours(1)).await;
    let mut body = open(&app, Method::GET, &token).await;
    next(&mut body).await;
    let said = json!({"message": "x".repeat(5_000)});
    app.post(&EVENTS.replace("events", "messages"), &token, said).await;
    let chunk = body.frame().await.unwrap().unwrap();
    assert!(app.output.used() > 5_000);
    drop(chunk);
    assert_eq!(app.output.used(), 0);
}

/// Streams never asked what all connections hold together, and each took a whole chunk.
#[tokio::test]
async fn with_the_output_spent_a_stream_goes_on_by_little_pieces() {
    let (app, token) = with_room(Duration::from_millis(1)).await;
    for _ in 0..4 {
        let said = json!({"message": "x".repeat(5_000)});
        app.post(&EVENTS.replace("events", "messages"), &token, said).await;
    }
    let spent = 1 << 20;
    app.output.add(spent);
    let request = request(Method::GET, &format!("{EVENTS}?after=0"), &token, None);
    let mut body = app.router.clone().oneshot(request).await.unwrap().into_body();
    next(&mut body).await;
    let piece = loop {
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        if piece.len() > 3 {
            break piece;
        }
    };
    assert!(piece.starts_with(b"id: 1\n") && piece.len() < 6_000, "{}", piece.len());
    for _ in 0..20 {
        assert_eq!(next(&mut body).await.unwrap(), ":\n\n", "it holds a piece already");
    }
    drop(piece);
    let mut rest = String::new();
    while !rest.contains("id: 4\n") {
        rest += &next(&mut body).await.unwrap();
    }
    assert!(rest.replace(":\n\n", "").starts_with("id: 2\n"));
    app.output.give_back(spent);
    assert_eq!(app.output.used(), 0);
}

#[tokio::test]
async fn who_only_asks_for_the_head_takes_no_place() {
    let limits = Limits { connections: 1, ..Options::default().limits };
    let app = TestApp::with(Options { limits, ..Options::default() });
    let token = app.sign_up("ann").await;
    app.room(&token, "Den").await;
    for _ in 0..3 {
        let mut body = open(&app, Method::HEAD, &token).await;
        assert_eq!(next(&mut body).await, None);
        drop(body);
        let _stream = open(&app, Method::GET, &token).await;
        let answer = app.get(EVENTS, &token).await;
        answer.is_problem(503, "overloaded");
    }
}
