//! Joining with `after`: what was missed and what is being said, without a seam.

use serde_json::json;

use crate::listening::{seqs, texts};
use crate::support::{Parlor, Person};

/// A room in which `m0` to `m{count - 1}` have been said, with seqs from 1.
async fn room_with(ann: &Person, count: usize) -> u64 {
    let room = ann.room("General").await;
    let mut socket = ann.enter(room).await;
    socket.say_many(room, "m", count).await;
    socket.chats(count).await;
    socket.close().await;
    room
}

#[tokio::test]
async fn a_join_brings_everything_after_what_one_holds() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let room = room_with(&ann, 450).await;
    for (after, missed) in [(0, 450), (1, 449), (225, 225), (449, 1), (450, 0), (451, 0)] {
        let mut socket = ann.connect().await;
        let joined = socket.join_after(room, after).await;
        let expected = json!({"type": "joined", "roomId": room, "head": 450, "first": 1,
            "count": 450, "delivery": "immediate"});
        assert_eq!(joined, expected, "after {after}");
        let mut chats = Vec::new();
        loop {
            let frame = socket.recv().await;
            if frame["type"] == "chat" {
                chats.push(frame);
            } else if frame["snapshot"] == true {
                break;
            }
        }
        let from = 451 - missed;
        assert_eq!(seqs(&chats), (from..=450).collect::<Vec<_>>(), "after {after}");
        let all: Vec<_> = (from..=450).map(|seq| format!("m{}", seq - 1)).collect();
        assert_eq!(texts(&chats), all, "the right texts");
        socket.close().await;
    }
    let mut far = ann.connect().await;
    far.join_after(room, 9_007_199_254_740_991).await;
    far.chat(room, "next").await;
    assert_eq!(far.find("chat").await["seq"], 451, "live from the head on");
}

#[tokio::test]
async fn what_catches_up_equals_the_pages_of_history() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let room = room_with(&ann, 30).await;
    let mut socket = ann.enter(room).await;
    socket.chat_with_id(room, "with an id", "c1").await;
    socket.find("ack").await;
    // Another connection: to the first, the message itself may come behind its ack.
    let mut reader = ann.connect().await;
    reader.join_after(room, 0).await;
    let mut caught = reader.chats(31).await;
    for chat in &mut caught {
        assert_eq!(chat.as_object_mut().expect("an object").remove("type"), Some(json!("chat")));
    }
    assert_eq!(caught, ann.history(room).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_runs_into_a_lively_room_without_a_seam() {
    const BEFORE: usize = 1_500;
    const EACH: usize = 200;
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = room_with(&ann, BEFORE).await;
    let mut talking = Vec::new();
    for name in ["a", "b", "c"] {
        let mut socket = ann.enter(room).await;
        talking.push(tokio::spawn(async move {
            for n in 0..EACH {
                socket.chat(room, &format!("{name}{n}")).await;
                socket.find("chat").await;
            }
            socket
        }));
    }
    let mut listening = Vec::new();
    for after in [0, 100, 1_499, 0] {
        let mut socket = ben.connect().await;
        let joined = socket.join_after(room, after).await;
        assert!(joined["head"].as_u64() >= Some(BEFORE as u64));
        listening.push(tokio::spawn(async move {
            let all = BEFORE + 3 * EACH - usize::try_from(after).expect("small");
            (after, socket.chats(all).await)
        }));
    }
    let end = (BEFORE + 3 * EACH) as u64;
    let mut heard = Vec::new();
    for listening in listening {
        let (after, chats) = listening.await.expect("a listener");
        assert_eq!(seqs(&chats), (after + 1..=end).collect::<Vec<_>>());
        heard.push(chats);
    }
    for talking in talking {
        talking.await.expect("a talker");
    }
    let stored = ann.history(room).await;
    assert_eq!(texts(&heard[0]), texts(&stored));
    assert_eq!(heard[0], heard[3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_fetched_after_joined_never_ends_short_of_its_head() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let mut talker = ann.enter(room).await;
    for _ in 0..20 {
        talker.say_many(room, "m", 40).await;
        talker.find("chat").await;
        let mut socket = ben.connect().await;
        let head = socket.join(room).await["head"].as_u64().expect("a head");
        assert!(head > 0);
        let page = ben.api.get(&format!("/rooms/{room}/messages?limit=1")).await;
        let last = seqs(page.json["messages"].as_array().expect("messages"));
        assert!(last[0] >= head, "joined says {head}, the page ends at {last:?}");
        assert!(page.json["head"].as_u64() >= Some(head));
        socket.close().await;
    }
}
