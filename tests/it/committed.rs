//! Rooms in which nobody hears what is not on disk.

use serde_json::{Value, json};

use crate::inside::Inside;
use crate::listening::{seqs, texts};
use crate::support::{Api, Parlor, Person, Socket, within};

/// Makes a room of this delivery; gives its id.
pub async fn room(person: &Person, delivery: &str) -> u64 {
    let body = json!({"name": "General", "delivery": delivery});
    let answer = person.api.post("/rooms", &body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.json);
    assert_eq!(answer.json["room"]["delivery"], delivery);
    answer.json["room"]["roomId"].as_u64().expect("an id")
}

/// Sees to it that everything that was sent before has been acted upon, and that none of the frames
/// tells of a message.
async fn hears_nothing(socket: &mut Socket) {
    for frame in socket.settle().await {
        assert_eq!(frame["type"], "presence", "{frame}");
    }
}

fn stands(joined: &Value) -> [&Value; 4] {
    ["head", "first", "count", "delivery"].map(|field| &joined[field])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hears_or_learns_of_a_message_before_it_is_on_disk() {
    let server = Inside::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = room(&ann, "committed").await;
    ann.say(room, "before").await;
    let (mut a, mut b) = (ann.enter(room).await, ben.enter(room).await);
    let mut late = ben.connect().await;
    server.hold();
    a.chat_with_id(room, "secret", "c1").await;
    hears_nothing(&mut a).await;
    hears_nothing(&mut b).await;
    // Nor does anybody who asks.
    let before = [&json!(1), &json!(1), &json!(1), &json!("committed")];
    let joined = b.ask(json!({"type": "join_room", "roomId": room})).await;
    assert_eq!(stands(&joined), before);
    let joined = b.ask(json!({"type": "join_room", "roomId": room, "after": 0})).await;
    assert_eq!(stands(&joined), before);
    assert_eq!(b.find("chat").await["message"], "before");
    hears_nothing(&mut b).await;
    let joined = late.ask(json!({"type": "join_room", "roomId": room})).await;
    assert_eq!(stands(&joined), before);
    hears_nothing(&mut late).await;
    let path = format!("/rooms/{room}/messages");
    let (api, page) = (ben.api.clone(), path.clone());
    let page = tokio::spawn(async move { api.get(&page).await });
    let once_more = json!({"message": "secret", "id": "c1"});
    let request = ann.api.request("POST", &path).json(&once_more);
    let repeated = tokio::spawn(Api::send(request));
    hears_nothing(&mut a).await;
    hears_nothing(&mut late).await;
    assert!(!page.is_finished() && !repeated.is_finished());
    server.release();
    for socket in [&mut a, &mut b, &mut late] {
        let chat = socket.find("chat").await;
        assert_eq!((&chat["seq"], &chat["message"]), (&json!(2), &json!("secret")));
    }
    let page = within("the page", page).await.expect("an answer").json;
    assert_eq!(texts(page["messages"].as_array().expect("messages")), ["before", "secret"]);
    let repeated = within("the answer", repeated).await.expect("an answer");
    assert_eq!((repeated.status, &repeated.json["seq"]), (200, &json!(2)));
    for socket in [&mut b, &mut late] {
        hears_nothing(socket).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_beside_it_hears_at_once() {
    let server = Inside::start().await;
    let ann = server.person("ann").await;
    let (immediate, committed) = (room(&ann, "immediate").await, room(&ann, "committed").await);
    let mut socket = ann.enter(immediate).await;
    socket.join(committed).await;
    server.hold();
    socket.chat_with_id(committed, "later", "c1").await;
    socket.chat_with_id(immediate, "at once", "c1").await;
    assert_eq!(socket.find_any(&["chat", "ack"]).await["message"], "at once");
    server.release();
    let mut rest = Vec::new();
    while rest.len() < 3 {
        let frame = socket.find_any(&["chat", "ack"]).await;
        let room = if frame["roomId"] == committed { "committed" } else { "immediate" };
        rest.push(format!("{room} {}", frame["type"].as_str().expect("a type")));
    }
    rest.sort_unstable();
    assert_eq!(rest, ["committed ack", "committed chat", "immediate ack"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_before_the_commit_hears_nothing_more() {
    let server = Inside::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = room(&ann, "committed").await;
    let (mut a, mut b) = (ann.enter(room).await, ben.enter(room).await);
    server.hold();
    a.chat(room, "too late").await;
    hears_nothing(&mut a).await;
    assert_eq!(b.ask(json!({"type": "leave_room", "roomId": room})).await["type"], "left");
    server.release();
    assert_eq!(a.find("chat").await["message"], "too late");
    hears_nothing(&mut b).await;
    assert_eq!(b.join_after(room, 0).await["head"], 1);
    assert_eq!(b.find("chat").await["message"], "too late");
}

#[tokio::test]
async fn the_server_has_a_default_and_each_room_its_wish() {
    let change = |config: &mut parlor::config::Config| {
        config.rooms.delivery = parlor::domain::Delivery::Committed;
    };
    let server = Parlor::start_with(change).await;
    let ann = server.person("ann").await;
    let default = ann.room("Default").await;
    let immediate = room(&ann, "immediate").await;
    let server = server.restart().await;
    // The default is another one now; the rooms stay what they are.
    let ann = ann.at(server.addr);
    let another = ann.room("Another").await;
    let mut socket = ann.connect().await;
    for (room, delivery) in
        [(default, "committed"), (immediate, "immediate"), (another, "immediate")]
    {
        let shown = ann.api.get(&format!("/rooms/{room}")).await;
        assert_eq!(shown.json["room"]["delivery"], delivery);
        assert_eq!(socket.join(room).await["delivery"], delivery);
        socket.chat(room, "hi").await;
        assert_eq!(socket.find("chat").await["seq"], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lively_room_is_heard_in_one_order_whenever_one_comes() {
    const EACH: usize = 300;
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    let room = room(&ann, "committed").await;
    let mut listening = Vec::new();
    let mut talking = Vec::new();
    for name in ["a", "b"] {
        for socket in [ben.connect().await, ben.connect().await] {
            listening.push(tokio::spawn(hears(socket, room, 2 * EACH)));
        }
        let mut socket = ann.enter(room).await;
        talking.push(tokio::spawn(async move {
            socket.say_many(room, name, EACH).await;
            socket.chats_until(&format!("{name}{}", EACH - 1)).await;
            socket
        }));
    }
    for talking in talking {
        talking.await.expect("a talker");
    }
    listening.push(tokio::spawn(hears(ben.connect().await, room, 2 * EACH)));
    let stored = ann.history(room).await;
    assert_eq!(seqs(&stored), (1..=2 * EACH as u64).collect::<Vec<_>>());
    for listening in listening {
        assert_eq!(texts(&listening.await.expect("a listener")), texts(&stored));
    }
}

/// Joins from the beginning; what is heard is in history by then.
async fn hears(mut socket: Socket, room: u64, count: usize) -> Vec<Value> {
    socket.join_after(room, 0).await;
    socket.chats(count).await
}
