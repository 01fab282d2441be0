//! Messages: posted once, read in pages.

use axum::body::HttpBody;

use super::*;

const MESSAGES: &str = "/api/v1/rooms/1/messages";

/// A server with one account and one room.
async fn with_room(options: Options) -> (TestApp, String) {
    let app = TestApp::with(options);
    let token = app.sign_up("ann").await;
    assert_eq!(app.room(&token, "Den").await, 1);
    (app, token)
}

#[tokio::test]
async fn what_is_said_is_found_again() {
    let (app, token) = with_room(Options::default()).await;
    let text = "hi \u{feff}\n\t\"🦀\"  ";
    let answer = app.post(MESSAGES, &token, json!({"message": text, "id": "c1"})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json, json!({"roomId": 1, "seq": 1, "at": NOW, "id": "c1"}));
    let answer = app.post("/api/v1/rooms/den/messages", &token, json!({"message": "b"})).await;
    assert_eq!(answer.json, json!({"roomId": 1, "seq": 2, "at": NOW}));
    let message = |seq: u64, text: &str| {
        json!({
            "roomId": 1, "seq": seq, "userId": 1, "username": "ann", "message": text, "at": NOW,
        })
    };
    let mut first = message(1, text);
    first["id"] = json!("c1");
    let page = json!({
        "messages": [first, message(2, "b")], "head": 2, "count": 2, "hasMore": false,
    });
    assert_eq!(app.get(MESSAGES, &token).await.json, page);
    let room = app.get("/api/v1/rooms/1", &token).await.json;
    let stands = ["first", "head", "count"].map(|name| room["room"][name].as_u64().unwrap());
    assert_eq!(stands, [1, 2, 2]);
}

#[tokio::test]
async fn a_message_with_an_id_is_stored_once() {
    let (app, token) = with_room(Options::default()).await;
    let said = json!({"message": "once", "id": "c1"});
    assert_eq!(app.post(MESSAGES, &token, said.clone()).await.status, 201);
    app.clock.set(NOW + 9_000);
    let again = app.post(MESSAGES, &token, said.clone()).await;
    assert_eq!(again.status, 200);
    let first = json!({"roomId": 1, "seq": 1, "at": NOW, "id": "c1", "duplicate": true});
    assert_eq!(again.json, first);
    let other = app.post(MESSAGES, &token, json!({"message": "twice", "id": "c1"})).await;
    other.is_problem(409, "id_conflict");
    let ben = app.sign_up("ben").await;
    assert_eq!(app.post(MESSAGES, &ben, said).await.json["seq"], 2, "ids belong to an account");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_copies_at_once_one_is_stored() {
    let (app, token) = with_room(Options::default()).await;
    let app = &app;
    let copies = (0..16).map(|_| {
        let said = json!({"message": "once", "id": "c1"});
        let request = request(Method::POST, MESSAGES, &token, Some(said));
        tokio::spawn(app.router.clone().oneshot(request))
    });
    let copies: Vec<_> = copies.collect();
    let mut statuses = Vec::new();
    for copy in copies {
        statuses.push(copy.await.unwrap().unwrap().status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[..15], [200; 15]);
    assert_eq!(statuses[15], 201);
    assert_eq!(app.get(MESSAGES, &token).await.json["count"], 1);
}

#[tokio::test]
async fn every_fault_of_a_message_is_told_at_once() {
    let (app, token) = with_room(Options::default()).await;
    app.post(MESSAGES, &token, json!({})).await.is_invalid(&["message"]);
    let faults = json!({"message": "a\u{0}", "id": "x".repeat(65)});
    app.post(MESSAGES, &token, faults).await.is_invalid(&["message", "id"]);
    let faults = json!({"message": "", "id": ""});
    app.post(MESSAGES, &token, faults).await.is_invalid(&["message", "id"]);
    let lone = r#"{"message":"a\ud800","id":"\udfff"}"#;
    let request = Request::post(MESSAGES)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let answer = app.send(request.body(Body::from(lone)).unwrap()).await;
    answer.is_invalid(&["message", "id"]);
}

#[tokio::test]
async fn a_message_over_the_limit_has_its_own_code() {
    let limits = Limits { message_bytes: 8, ..Options::default().limits };
    let (app, token) = with_room(Options { limits, ..Options::default() }).await;
    assert_eq!(app.post(MESSAGES, &token, json!({"message": "🦀🦀"})).await.status, 201);
    let answer = app.post(MESSAGES, &token, json!({"message": "🦀🦀x", "id": 1})).await;
    answer.is_problem(413, "message_too_large");
}

#[tokio::test]
async fn pages_walk_both_ways() {
    let (app, token) = with_room(Options::default()).await;
    for index in 1..=5 {
        let said = json!({"message": index.to_string()});
        assert_eq!(app.post(MESSAGES, &token, said).await.status, 201);
    }
    let page = async |query: &str| {
        let answer = app.get(&format!("{MESSAGES}{query}"), &token).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!((&answer.json["head"], &answer.json["count"]), (&json!(5), &json!(5)));
        let messages = answer.json["messages"].as_array().unwrap();
        let seqs: Vec<_> = messages.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
        (seqs, answer.json["hasMore"].as_bool().unwrap())
    };
    assert_eq!(page("").await, (vec![1, 2, 3, 4, 5], false));
    assert_eq!(page("?limit=2").await, (vec![4, 5], true));
    assert_eq!(page("?limit=2&before=4").await, (vec![2, 3], true));
    assert_eq!(page("?limit=2&before=2").await, (vec![1], false));
    assert_eq!(page("?limit=2&after=0").await, (vec![1, 2], true));
    assert_eq!(page("?after=3").await, (vec![4, 5], false));
    assert_eq!(page("?after=5").await, (vec![], false));
    assert_eq!(page("?before=0").await, (vec![], false));
    assert_eq!(page("?after=9007199254740991").await, (vec![], false));
    assert_eq!(page("?before=9007199254740991&limit=1").await, (vec![5], true));
}

#[tokio::test]
async fn every_fault_of_a_query_is_told_at_once() {
    let (app, token) = with_room(Options::default()).await;
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=9999", &["limit"]),
        ("before=abc", &["before"]),
        ("after=9007199254740992", &["after"]),
        ("before=1&after=1", &["before", "after"]),
        ("after=-1&limit=x", &["after", "limit"]),
    ] {
        let answer = app.get(&format!("{MESSAGES}?{query}"), &token).await;
        answer.is_invalid(fields);
    }
}

#[tokio::test]
async fn an_account_says_only_so_much_at_once() {
    let limits = Limits { messages_per_second: 1, message_burst: 2, ..Options::default().limits };
    let (app, token) = with_room(Options { limits, ..Options::default() }).await;
    assert_eq!(app.post(MESSAGES, &token, json!({"message": "a"})).await.status, 201);
    let answer = app.post(MESSAGES, &token, json!({"message": "b"})).await;
    answer.is_problem(429, "rate_limited");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_full_queue_is_overloaded_and_a_closed_one_unavailable() {
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let mut commits = 0;
    let after_commit = Box::new(move || {
        commits += 1;
        // The account and the room come first; the writer stops after the message that follows.
        if commits == 3 {
            entered.send(()).unwrap();
            let _ = released.recv();
        }
    });
    let limits = Limits { writer_queue_messages: 1, ..Options::default().limits };
    let (app, token) = with_room(Options { limits, after_commit, ..Options::default() }).await;
    let post = |text: &str| {
        let request = request(Method::POST, MESSAGES, &token, Some(json!({"message": text})));
        tokio::spawn(app.router.clone().oneshot(request))
    };
    let first = post("in the writer's hands");
    has_entered.recv().await.unwrap();
    // Two more, and the queue takes one: that one waits, the other is refused.
    let (second, third) = (post("a"), post("b"));
    let refused = tokio::select! {
        answer = second => answer,
        answer = third => answer,
    };
    assert_eq!(refused.unwrap().unwrap().status(), 503);
    let answer = app.post(MESSAGES, &token, json!({"message": "d"})).await;
    answer.is_problem(503, "overloaded");
    drop(release);
    assert_eq!(first.await.unwrap().unwrap().status(), 201);
    app.queue.close();
    let answer = app.post(MESSAGES, &token, json!({"message": "e"})).await;
    answer.is_problem(503, "unavailable");
}

/// Whoever takes a page slowly holds it for as long as it takes; many could hold any amount.
#[tokio::test]
async fn pages_that_nobody_takes_have_a_bound_together() {
    let (app, token) = with_room(Options::default()).await;
    let message = json!({"message": "\"".repeat(16_000)});
    for _ in 0..16 {
        assert_eq!(app.post(MESSAGES, &token, message.clone()).await.status, 201);
    }
    let ask = || {
        let request = Request::get(MESSAGES).header("authorization", format!("Bearer {token}"));
        app.router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let (mut untaken, mut bytes) = (Vec::new(), 0);
    while bytes < crate::domain::limits::ANSWERS_BYTES {
        let answer = ask().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        bytes += usize::try_from(answer.body().size_hint().lower()).unwrap();
        untaken.push(answer);
    }
    app.get(MESSAGES, &token).await.is_problem(503, "overloaded");
    app.get("/api/v1/rooms", &token).await.is_problem(503, "overloaded");
    untaken.pop();
    assert_eq!(app.get(MESSAGES, &token).await.status, 200);
}
