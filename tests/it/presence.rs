//! Who is there, and who is writing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Parlor, Person, Socket};

fn people(people: &[&Person]) -> Value {
    let person = |person: &&Person| json!({"userId": person.user_id, "username": person.username});
    people.iter().map(person).collect()
}

/// Follows presence until this many people are there; gives the last frame.
async fn count(socket: &mut Socket, count: u64) -> Value {
    loop {
        let presence = socket.find("presence").await;
        if presence["count"] == count {
            return presence;
        }
    }
}

#[tokio::test]
async fn a_snapshot_follows_joined() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let _a = ann.enter(room).await;
    let mut b = ben.connect().await;
    b.send(&json!({"type": "join_room", "roomId": room})).await;
    assert_eq!(b.recv().await["type"], "joined");
    let snapshot = b.recv().await;
    let expected = json!({"type": "presence", "roomId": room, "snapshot": true,
        "joined": people(&[&ann, &ben]), "count": 2});
    assert_eq!(snapshot, expected);
}

#[tokio::test]
async fn a_snapshot_follows_what_was_missed() {
    let (_server, ann, room) = Parlor::with_room().await;
    ann.say(room, "one").await;
    ann.say(room, "two").await;
    let mut socket = ann.connect().await;
    socket.send(&json!({"type": "join_room", "roomId": room, "after": 0})).await;
    assert_eq!(socket.recv().await["type"], "joined");
    let mut kinds = Vec::new();
    let snapshot = loop {
        let frame = socket.recv().await;
        if frame["snapshot"] == true {
            break frame;
        }
        kinds.push(frame["type"].clone());
    };
    assert_eq!(kinds, ["chat", "chat"]);
    assert_eq!(snapshot["joined"], people(&[&ann]));
}

#[tokio::test]
async fn people_count_and_not_their_connections() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut a = ann.enter(room).await;
    let mut first = ben.enter(room).await;
    let came = count(&mut a, 2).await;
    // Her own coming may still have been to be told.
    let told = [people(&[&ben]), people(&[&ann, &ben])];
    assert!(told.contains(&came["joined"]), "{came}");
    assert_eq!((came.get("left"), came.get("snapshot")), (None, None), "{came}");
    let second = ben.enter(room).await;
    first.ask(json!({"type": "leave_room", "roomId": room})).await;
    let third = ben.enter(room).await;
    second.close().await;
    third.close().await;
    let went = a.find("presence").await;
    let expected = json!({"type": "presence", "roomId": room, "left": people(&[&ben]), "count": 1});
    assert_eq!(went, expected, "the next that is heard is that the last of them went");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_gone_from_its_rooms() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut a = ann.enter(room).await;
    let b = ben.enter(room).await;
    count(&mut a, 2).await;
    drop(b);
    assert_eq!(count(&mut a, 1).await["left"], people(&[&ben]));
}

#[tokio::test]
async fn the_others_hear_who_is_typing() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let (mut a, mut same, mut b) =
        (ann.enter(room).await, ann.enter(room).await, ben.enter(room).await);
    let typing = json!({"type": "typing", "roomId": room});
    a.send(&typing).await;
    let expected =
        json!({"type": "typing", "roomId": room, "userId": ann.user_id, "username": "ann"});
    assert_eq!(b.find("typing").await, expected);
    a.chat(room, "end").await;
    for socket in [&mut a, &mut same] {
        loop {
            let frame = socket.recv().await;
            assert_ne!(frame["type"], "typing", "not to the one who types");
            if frame["type"] == "chat" {
                break;
            }
        }
    }
    assert!(ann.history(room).await.iter().all(|message| message["message"] == "end"));
}

#[tokio::test]
async fn typing_is_passed_on_once_a_second_a_person() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let (mut a, mut other) = (ann.enter(room).await, ann.enter(room).await);
    let mut b = ben.enter(room).await;
    let typing = json!({"type": "typing", "roomId": room});
    let began = Instant::now();
    let mut heard = 0;
    // Over two connections of one person, and again and again until a second one is passed on.
    for round in 0.. {
        for _ in 0..5 {
            a.feed(&typing).await;
            other.feed(&typing).await;
        }
        a.flush().await;
        other.flush().await;
        other.settle().await;
        let end = format!("end of {round}");
        a.chat(room, &end).await;
        loop {
            let frame = b.recv().await;
            heard += u64::from(frame["type"] == "typing");
            if frame["message"] == end.as_str() {
                break;
            }
        }
        // The server counts whole milliseconds.
        let most = 1 + (began.elapsed() + Duration::from_millis(10)).as_secs();
        assert!((1..=most).contains(&heard), "{heard} within {:?}", began.elapsed());
        if heard >= 2 {
            break;
        }
    }
}
