//! Many connections in one room.

use serde_json::json;

use crate::listening::texts;
use crate::support::Parlor;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_hear_the_same() {
    const MEMBERS: usize = 200;
    const SENDERS: usize = 5;
    const EACH: usize = 60;
    let server = Parlor::start_with(|config| config.limits.connections_per_user = MEMBERS).await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = ann.room("General").await;
    let mut members = Vec::new();
    for n in 0..MEMBERS {
        let mut socket = if n % 2 == 0 { ann.connect().await } else { ben.connect().await };
        socket.ask(json!({"type": "join_room", "roomId": room})).await;
        members.push(socket);
    }
    let members: Vec<_> = members
        .into_iter()
        .enumerate()
        .map(|(n, mut socket)| {
            tokio::spawn(async move {
                if n < SENDERS {
                    socket.say_many(room, &format!("s{n}-"), EACH).await;
                }
                let mut heard = Vec::with_capacity(SENDERS * EACH);
                for chat in socket.chats(SENDERS * EACH).await {
                    let text = chat["message"].as_str().expect("a text").to_owned();
                    heard.push((chat["seq"].as_u64().expect("a seq"), text));
                }
                let later = socket.settle().await;
                assert!(later.iter().all(|frame| frame["type"] != "chat"), "{later:?}");
                heard
            })
        })
        .collect();
    let mut all = Vec::new();
    for member in members {
        all.push(member.await.expect("a member"));
    }
    let stored = ann.history(room).await;
    assert_eq!(stored.len(), SENDERS * EACH);
    let expected: Vec<_> = (1..).zip(texts(&stored).into_iter().map(str::to_owned)).collect();
    for heard in all {
        assert_eq!(heard, expected);
    }
}
