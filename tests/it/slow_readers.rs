//! A member that reads slowly loses nothing and holds up nobody.

use parlor::domain::Limits;
use parlor::domain::limits::{BLOCK_BYTES, BLOCKS_KEPT_BYTES};
use serde_json::{Value, json};

use crate::bare::Bare;
use crate::raw::Raw;
use crate::support::{Parlor, Person};

/// What the kernel may keep for a slow reader.
const NARROW: Option<u32> = Some(16 * 1024);

async fn enter(person: &Person, room: u64) -> Raw {
    let mut raw = Raw::connect_narrow(person, NARROW).await;
    raw.text(&json!({"type": "join_room", "roomId": room})).await;
    raw.find("presence").await;
    raw
}

/// Message `n`, of some kilobytes.
fn message(n: u64, bytes: usize) -> String {
    format!("{n} {}", "x".repeat(bytes))
}

async fn all_in_order(raw: &mut Raw, count: u64, bytes: usize) {
    for n in 1..=count {
        let chat = raw.find("chat").await;
        assert_eq!(chat["seq"], n, "one after the other");
        assert_eq!(chat["message"], message(n, bytes).as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_for_long_gets_everything_in_order_when_it_does() {
    const SAID: u64 = 20_000;
    const BYTES: usize = 1_000;
    let server = Parlor::start_with(|config| {
        // A ping that nobody reads must not end this test on a slow machine.
        config.limits.heartbeat_seconds = 600;
        config.limits.waiting_bytes = 64 * 1024;
    })
    .await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let mut slow = enter(&ben, room).await;
    let mut prompt = enter(&ben, room).await;
    let mut sender = ann.connect().await;
    sender.join(room).await;
    let sending = tokio::spawn(async move {
        for n in 1..=SAID {
            let frame = json!({"type": "chat", "roomId": room, "message": message(n, BYTES)});
            sender.feed(&frame).await;
            if n % 100 == 0 {
                sender.flush().await;
                // The sender reads too, or it would be slow itself.
                while sender.find("chat").await["seq"].as_u64() < Some(n) {}
            }
        }
    });
    all_in_order(&mut prompt, SAID, BYTES).await;
    sending.await.expect("the sender");
    slow.text(&json!({"type": "chat", "roomId": room, "message": "back again"})).await;
    all_in_order(&mut slow, SAID, BYTES).await;
    let own = slow.find("chat").await;
    assert_eq!((&own["seq"], &own["message"]), (&json!(SAID + 1), &json!("back again")));
    let prompt: Value = prompt.find("chat").await;
    assert_eq!(prompt["seq"], SAID + 1);
}

/// The same seen from inside: what waits for it and what is kept of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_costs_a_cursor() {
    const SAID: u64 = 15_000;
    const BYTES: usize = 1_000;
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { waiting_bytes: 64 * 1024, ..Limits::default() };
    let bare = Bare::start(directory.path(), &limits);
    let (ann, token) = bare.sign_up("ann").await;
    let room = bare.room(&ann, "General").await;
    let join = json!({"type": "join_room", "roomId": 1});
    let mut slow = Raw::over(bare.socket(&token).await).await;
    slow.text(&join).await;
    slow.find("presence").await;
    let (mut most, mut last) = (0, 0);
    while last < SAID {
        for _ in 0..100 {
            last += 1;
            Bare::say(&room, &ann, &message(last, BYTES)).await;
        }
        room.durable(last).await;
        most = most.max(bare.sessions.output.used());
    }
    // One turn more than its limit: a block and the records' names around it.
    let bound = limits.waiting_bytes + 2 * BLOCK_BYTES;
    assert!(most < bound, "{most} bytes waited, of {bound}");
    assert!(most >= limits.waiting_bytes, "only {most} bytes waited: it was never slow");
    let (kept, pinned) = bare.app.hub.log.blocks.bytes();
    assert!(kept <= BLOCKS_KEPT_BYTES, "{kept} bytes are kept");
    assert!(pinned <= 2 * bound, "{pinned} bytes are pinned");
    all_in_order(&mut slow, SAID, BYTES).await;
    slow.text(&json!({"type": "ping"})).await;
    slow.find("pong").await;
    assert_eq!(bare.app.hub.log.blocks.bytes().1, 0, "nothing is held for it any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_in_fits_and_starts_misses_nothing() {
    const BYTES: usize = 4_000;
    let server = Parlor::start_with(|config| config.limits.waiting_bytes = 32 * 1024).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let mut slow = enter(&ben, room).await;
    let mut sender = ann.connect().await;
    sender.join(room).await;
    let (mut said, mut heard) = (0, 0);
    for (say, hear) in [(400, 50), (1, 100), (300, 551), (1, 0), (0, 1), (500, 499), (1, 2)] {
        for _ in 0..say {
            said += 1;
            let frame = json!({"type": "chat", "roomId": room, "message": message(said, BYTES)});
            sender.feed(&frame).await;
        }
        sender.flush().await;
        while said > 0 && say > 0 && sender.find("chat").await["seq"] != said {}
        for _ in 0..hear {
            heard += 1;
            let chat = slow.find("chat").await;
            assert_eq!(chat["seq"], heard);
            assert_eq!(chat["message"], message(heard, BYTES).as_str());
        }
    }
    assert_eq!((said, heard), (1_203, 1_203));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_at_all_is_given_up_on() {
    let server = Parlor::start_with(|config| {
        config.limits.heartbeat_seconds = 600;
        config.limits.write_stall_seconds = 1;
        config.limits.waiting_bytes = 64 * 1024;
    })
    .await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let mut stalled = enter(&ben, room).await;
    let mut a = ann.connect().await;
    a.join(room).await;
    let text = "x".repeat(16_000);
    let mut went = false;
    // More than the kernel and the server hold for it.
    for n in 0..200 {
        a.chat(room, &text).await;
        loop {
            let frame = a.find_any(&["chat", "presence"]).await;
            went |= frame["left"][0]["username"] == "ben";
            if frame["seq"] == n + 1 {
                break;
            }
        }
    }
    while !went {
        went = a.find("presence").await["left"][0]["username"] == "ben";
    }
    // What the kernel held for it may or may not leave room for the reason.
    let code = stalled.last_code_of_broken_stream().await;
    assert!(matches!(code, Some(4408) | None), "{code:?}");
    let mut back = ben.connect().await;
    back.join_after(room, 0).await;
    assert_eq!(back.chats(200).await.len(), 200, "it comes back and has missed nothing");
}

/// A server whose members fall behind soon, and a room in which `count` messages of 2 kB were said
/// while `Raw`, its slow member, read nothing.
async fn behind(count: u64) -> (Parlor, Person, u64, Raw) {
    let server = Parlor::start_with(|config| config.limits.waiting_bytes = 32 * 1024).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let slow = enter(&ben, room).await;
    let mut sender = ann.connect().await;
    sender.join(room).await;
    for n in 1..=count {
        let frame = json!({"type": "chat", "roomId": room, "message": message(n, 2_000)});
        sender.feed(&frame).await;
    }
    sender.flush().await;
    while sender.find("chat").await["seq"] != count {}
    (server, ann, room, slow)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_behind_can_leave_and_begin_anew() {
    let (_server, _ann, room, mut slow) = behind(1_000).await;
    slow.text(&json!({"type": "join_room", "roomId": room, "after": 900, "ref": "again"})).await;
    let mut last = 0;
    loop {
        let frame = slow.recv_json().await;
        match frame["type"].as_str() {
            Some("joined") => {
                assert_eq!((&frame["head"], &frame["ref"]), (&json!(1_000), &json!("again")));
                break;
            }
            Some("chat") => {
                last += 1;
                assert_eq!(frame["seq"], last);
            }
            _ => assert_eq!(frame["type"], "presence"),
        }
    }
    for seq in 901..=1_000 {
        assert_eq!(slow.find("chat").await["seq"], seq, "the new join's messages alone");
    }
    slow.text(&json!({"type": "join_room", "roomId": room, "after": 0})).await;
    slow.text(&json!({"type": "leave_room", "roomId": room, "ref": "bye"})).await;
    slow.text(&json!({"type": "ping", "ref": "end"})).await;
    assert_eq!(slow.find("left").await["ref"], "bye");
    assert_eq!(slow.recv_json().await["type"], "pong", "nothing of the room behind left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_again_while_behind_tells_how_far_it_is() {
    let (_server, _ann, room, mut slow) = behind(1_000).await;
    let mut last = 0;
    for round in 0..3 {
        slow.text(&json!({"type": "join_room", "roomId": room})).await;
        loop {
            let frame = slow.recv_json().await;
            if frame["type"] == "joined" {
                assert_eq!(frame["head"], last, "round {round}: one that resumes loses nothing");
                break;
            }
            if frame["type"] == "chat" {
                last += 1;
                assert_eq!(frame["seq"], last);
            }
        }
    }
    for seq in last + 1..=1_000 {
        assert_eq!(slow.find("chat").await["seq"], seq);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_behind_in_many_rooms_gets_all_of_each() {
    const EACH: u64 = 300;
    let (_server, ann, first, mut slow) = behind(EACH).await;
    let mut sender = ann.connect().await;
    let mut rooms = vec![first];
    for name in ["Two", "Three", "Four"] {
        let room = ann.room(name).await;
        slow.text(&json!({"type": "join_room", "roomId": room})).await;
        sender.join(room).await;
        rooms.push(room);
    }
    // The slow one's joins are acted upon only when it has read what waits for it.
    let mut heard = std::collections::BTreeMap::from([(first, 0)]);
    while heard.len() < rooms.len() {
        let frame = slow.recv_json().await;
        let room = frame["roomId"].as_u64().expect("a room");
        match frame["type"].as_str() {
            Some("joined") => assert_eq!(heard.insert(room, 0), None),
            Some("chat") => {
                *heard.get_mut(&room).expect("joined") += 1;
                assert_eq!(frame["seq"], heard[&room]);
            }
            _ => {}
        }
    }
    for n in 1..=EACH {
        for room in &rooms[1..] {
            let text = message(n, 2_000);
            sender.feed(&json!({"type": "chat", "roomId": room, "message": text})).await;
        }
    }
    sender.flush().await;
    let mut left = 3 * EACH;
    while left > 0 {
        sender.find("chat").await;
        left -= 1;
    }
    while heard.values().any(|heard| *heard < EACH) {
        let chat = slow.find("chat").await;
        let room = chat["roomId"].as_u64().expect("a room");
        *heard.get_mut(&room).expect("joined") += 1;
        assert_eq!(chat["seq"], heard[&room], "in room {room}");
    }
}
