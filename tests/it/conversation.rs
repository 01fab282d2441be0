//! The main job: people sign up, make a room, talk, and find it all again.

use serde_json::json;

use crate::support::Parlor;

#[tokio::test]
async fn two_people_talk_and_find_it_again_after_a_restart() {
    let (server, ann, room) = Parlor::with_room().await;
    let ben = server.person("ben").await;
    let (mut a, mut b) = (ann.enter(room).await, ben.enter(room).await);

    a.chat_with_id(room, "hi", "c1").await;
    let heard = b.expect("chat").await;
    assert_eq!(heard["message"], "hi");
    assert_eq!(heard["username"], "ann");
    assert_eq!((heard["seq"].as_u64(), heard["id"].as_str()), (Some(1), Some("c1")));
    let ack = a.find("ack").await;
    assert_eq!((&ack["id"], &ack["seq"], &ack["at"]), (&json!("c1"), &json!(1), &heard["at"]));
    b.chat(room, "ho").await;
    assert_eq!(b.expect("chat").await["seq"], 2);

    let server = server.restart().await;
    assert_eq!(a.close_code().await, Some(1012));
    let ann = crate::support::Person::sign_in(server.addr, "ann").await;
    let messages = ann.history(room).await;
    let texts: Vec<_> = messages.iter().map(|message| &message["message"]).collect();
    assert_eq!(texts, ["hi", "ho"]);
    let mut a = ann.connect().await;
    a.send(&json!({"type": "join_room", "roomId": room, "after": 1})).await;
    assert_eq!(a.expect("joined").await["head"], 2);
    assert_eq!(a.expect("chat").await["message"], "ho");
    a.chat(room, "again").await;
    assert_eq!(a.expect("chat").await["seq"], 3, "a clean restart leaves no gap");
    server.stop().await;
}
