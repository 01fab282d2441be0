//! Rooms: made, found, listed, deleted.

use super::*;

#[tokio::test]
async fn a_room_is_found_by_its_id_and_by_its_slug() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    let answer = app.post("/api/v1/rooms", &token, json!({"name": "The Den"})).await;
    assert_eq!(answer.status, 201);
    let room = json!({"room": {
        "roomId": 1, "slug": "the-den", "name": "The Den", "createdBy": 1, "createdAt": NOW,
        "delivery": "immediate", "first": 0, "head": 0, "count": 0,
    }});
    assert_eq!(answer.json, room);
    for path in ["/api/v1/rooms/1", "/api/v1/rooms/the-den", "/api/v1/rooms/the%2Dden"] {
        let answer = app.get(path, &token).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (200, &room), "{path}");
    }
}

#[tokio::test]
async fn what_names_no_room_is_no_such_room() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    for room in [
        "2",
        "0",
        "99999999999999999999",
        "gone",
        "Upper",
        "a%20b",
        "%2e%2e",
        "a%2Fb",
        "%ff",
        "%00",
        "%F0%9F%A6%80",
    ] {
        let path = format!("/api/v1/rooms/{room}");
        app.get(&path, &token).await.is_problem(404, "no_such_room");
        app.delete(&path, &token).await.is_problem(404, "no_such_room");
        let path = format!("{path}/messages");
        app.get(&path, &token).await.is_problem(404, "no_such_room");
        let answer = app.post(&path, &token, json!({"message": "hi"})).await;
        answer.is_problem(404, "no_such_room");
    }
}

#[tokio::test]
async fn a_slug_is_taken_once_and_a_suggested_one_gives_way() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    let den = json!({"name": "Den", "slug": "den", "delivery": "immediate"});
    assert_eq!(app.post("/api/v1/rooms", &token, den.clone()).await.status, 201);
    app.post("/api/v1/rooms", &token, den).await.is_problem(409, "slug_taken");
    let answer = app.post("/api/v1/rooms", &token, json!({"name": "Den"})).await;
    assert_eq!(answer.json["room"]["slug"], "den-2");
    let answer = app.post("/api/v1/rooms", &token, json!({"name": "日本"})).await;
    assert!(answer.json["room"]["slug"].as_str().unwrap().starts_with("room-"));
}

#[tokio::test]
async fn a_room_delivers_as_it_was_asked_to_or_as_the_server_does() {
    for default in Delivery::ALL {
        let app = TestApp::with(Options { delivery: default, ..Options::default() });
        let token = app.sign_up("ann").await;
        for (wish, made) in [
            (json!(null), default.as_str()),
            (json!("immediate"), "immediate"),
            (json!("committed"), "committed"),
        ] {
            let body = json!({"name": "Den", "delivery": wish});
            let answer = app.post("/api/v1/rooms", &token, body).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json["room"]["delivery"]),
                (201, &json!(made))
            );
            let path = format!("/api/v1/rooms/{}", answer.json["room"]["roomId"]);
            assert_eq!(app.get(&path, &token).await.json, answer.json);
            let path = format!("{path}/messages");
            let said = app.post(&path, &token, json!({"message": "a"})).await;
            assert_eq!(said.status, 201);
        }
    }
}

#[tokio::test]
async fn every_fault_of_a_room_is_told_at_once() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    app.post("/api/v1/rooms", &token, json!({})).await.is_invalid(&["name"]);
    let body = json!({"name": "", "slug": "123", "delivery": "sometimes"});
    let answer = app.post("/api/v1/rooms", &token, body).await;
    answer.is_invalid(&["name", "slug", "delivery"]);
    let body = json!({"name": "x".repeat(81), "slug": "A", "delivery": 1});
    let answer = app.post("/api/v1/rooms", &token, body).await;
    answer.is_invalid(&["name", "slug", "delivery"]);
}

#[tokio::test]
async fn rooms_are_listed_in_pages() {
    let app = TestApp::new();
    let token = app.sign_up("ann").await;
    for name in ["a", "b", "c"] {
        app.room(&token, name).await;
    }
    let page = async |query: &str| {
        let answer = app.get(&format!("/api/v1/rooms{query}"), &token).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        let rooms = answer.json["rooms"].as_array().unwrap();
        let ids: Vec<_> = rooms.iter().map(|room| room["roomId"].as_u64().unwrap()).collect();
        (ids, answer.json["hasMore"].as_bool().unwrap())
    };
    assert_eq!(page("").await, (vec![1, 2, 3], false));
    assert_eq!(page("?limit=2").await, (vec![1, 2], true));
    assert_eq!(page("?limit=2&after=2&unknown=1").await, (vec![3], false));
    assert_eq!(page("?after=9007199254740991").await, (vec![], false));
    assert_eq!(page("?limit=0&limit=1").await, (vec![1], true));
    let answer = app.get("/api/v1/rooms?limit=201&after=x", &token).await;
    answer.is_invalid(&["after", "limit"]);
}

#[tokio::test]
async fn a_room_is_deleted_by_its_creator_or_an_admin() {
    let app = TestApp::new();
    let admin = app.sign_up("admin").await;
    let (ann, ben) = (app.sign_up("ann").await, app.sign_up("ben").await);
    for owner in [&ann, &admin] {
        let room = app.room(&ann, "Den").await;
        let path = format!("/api/v1/rooms/{room}");
        app.delete(&path, &ben).await.is_problem(403, "forbidden");
        assert_eq!(app.delete(&path, owner).await.status, 204);
        app.get(&path, &ann).await.is_problem(404, "no_such_room");
        app.get(&format!("{path}/messages"), &ann).await.is_problem(404, "no_such_room");
        app.delete(&path, owner).await.is_problem(404, "no_such_room");
    }
}
