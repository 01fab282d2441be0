//! Members that come back: each gets exactly what it missed, and what many of them want costs once.

use parlor::domain::Limits;
use serde_json::json;

use crate::bare::Bare;
use crate::raw::Raw;
use crate::support::{PASSWORD, Parlor};

/// Each member once read and encoded its part of the log by itself: a thousand cost a thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_behind_a_restart_costs_one_encoding() {
    const SAID: u64 = 2_000;
    const BEHIND: u64 = 1_000;
    const MEMBERS: u64 = 50;
    let limits = Limits { connections_per_user: 100, ..Limits::default() };
    let directory = tempfile::tempdir().unwrap();
    let before = Bare::start(directory.path(), &limits);
    let (ann, token) = before.sign_up("ann").await;
    let room = before.room(&ann, "General").await;
    for n in 1..=SAID {
        Bare::say(&room, &ann, &format!("message {n}")).await;
    }
    room.durable(SAID).await;
    drop(room);
    before.stop();

    let bare = Bare::start(directory.path(), &limits);
    let mut members = Vec::new();
    for n in 0..MEMBERS {
        // Not two of them hold the same, and the first to come is not the furthest behind.
        let after = BEHIND + n * 37 % MEMBERS;
        let mut member = Raw::over(bare.socket(&token).await).await;
        members.push(tokio::spawn(async move {
            member.text(&json!({"type": "join_room", "roomId": 1, "after": after})).await;
            for seq in after + 1..=SAID {
                let chat = member.find("chat").await;
                assert_eq!(chat["seq"], seq);
                assert_eq!(chat["message"], format!("message {seq}"));
            }
        }));
    }
    for member in members {
        member.await.unwrap();
    }
    // The first block begins a little before whoever is furthest behind.
    let begin = BEHIND + 1 - (BEHIND + 1) % 32;
    assert_eq!(bare.app.hub.log.blocks.encoded(), SAID - begin + 1);
}

#[tokio::test]
async fn who_comes_back_does_not_see_the_name_of_an_account_deleted_meanwhile() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    ann.say(room, "hello").await;
    for expected in ["ann", "deleted user"] {
        let mut reader = ben.connect().await;
        reader.send(&json!({"type": "join_room", "roomId": room, "after": 0})).await;
        assert_eq!(reader.find("chat").await["username"], expected);
        if expected == "ann" {
            let request = ann.api.request("DELETE", "/me").json(&json!({"password": PASSWORD}));
            assert_eq!(crate::support::Api::send(request).await.status, 204);
        }
    }
}
