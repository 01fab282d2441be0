//! Streams of events: what they tell, and that it is what sockets and pages tell.

use serde_json::json;

use crate::committed;
use crate::crash::TakenBack;
use crate::event_source::EventSource;
use crate::inside::Inside;
use crate::listening::{seqs, texts};
use crate::support::{Api, Parlor, Person};

#[tokio::test]
async fn a_stream_tells_where_the_room_is_and_then_what_is_said() {
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    for delivery in ["immediate", "committed"] {
        let room = committed::room(&ann, delivery).await;
        ann.say(room, "before").await;
        let mut stream = EventSource::open(&ben, room, "").await;
        let (mut joined, id) = stream.joined().await;
        let log = joined.as_object_mut().expect("an object").remove("log").expect("a log");
        let mut socket = ann.connect().await;
        socket.send(&json!({"type": "join_room", "roomId": room})).await;
        assert_eq!((joined, id), (socket.expect("joined").await, 1));
        let people = socket.expect("presence").await;
        assert_eq!(people["count"], 1, "who listens is not present: {people}");
        let query = format!("?log={}x", log.as_str().expect("a name"));
        let mut elsewhere = EventSource::open(&ben, room, &query).await;
        assert_eq!(elsewhere.joined().await.0["reset"], true);
        socket.send(&json!({"type": "typing", "roomId": room})).await;
        let mut heard = Vec::new();
        for text in ["a\nb", "with \"quotes\"\n\ndata: x", "🦀"] {
            socket.chat_with_id(room, text, text).await;
            heard.push(socket.find("chat").await);
        }
        assert_eq!(stream.chats(3).await, heard, "neither presence nor typing in between");
        let path = format!("/api/v1/rooms/{room}/events?token={}", ben.token);
        let stream = EventSource::request(server.addr, &path, "", None).await;
        stream.expect("a stream").joined().await;
    }
}

#[tokio::test]
async fn whoever_comes_back_gets_what_followed_and_nothing_twice() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut socket = ann.enter(room).await;
    socket.say_many(room, "m", 450).await;
    socket.chats(450).await;
    let mut stored = ann.history(room).await;
    for message in &mut stored {
        message["type"] = json!("chat");
    }
    let mut streams = Vec::new();
    let last = |id: u64| format!("Last-Event-ID: {id}\r\n");
    for (query, header, from) in [
        ("?after=0", String::new(), 0),
        ("", last(0), 0),
        ("?after=449", last(225), 225),
        ("?after=3", last(450), 450),
        ("?after=450", String::new(), 450),
        ("", last(9_007_199_254_740_991), 450),
    ] {
        let stream = EventSource::open_with(&ann, room, query, &header, None).await;
        let mut stream = stream.expect("a stream");
        let (joined, id) = stream.joined().await;
        assert_eq!((&joined["head"], id), (&json!(450), from as u64), "{query} {header}");
        assert_eq!(stream.chats(450 - from).await, stored[from..], "{query} {header}");
        streams.push(stream);
    }
    socket.chat(room, "live").await;
    let live = [socket.find("chat").await];
    for stream in &mut streams {
        assert_eq!(stream.chats(1).await, live);
    }
}

#[tokio::test]
async fn a_browser_that_heard_nothing_yet_misses_nothing() {
    let (_server, ann, room) = Parlor::with_room().await;
    ann.say(room, "before").await;
    let mut stream = EventSource::open(&ann, room, "").await;
    let (_, id) = stream.joined().await;
    drop(stream);
    ann.say(room, "meanwhile").await;
    let mut stream = EventSource::resume(&ann, room, id).await.expect("a stream");
    assert_eq!(stream.joined().await.1, id);
    assert_eq!(texts(&stream.chats(1).await), ["meanwhile"]);
}

#[tokio::test]
async fn after_a_crash_streams_name_what_was_lost_as_pages_and_sockets_do() {
    let crash = TakenBack::start().await;
    let (ann, room, lost) = (&crash.ann, crash.room, crash.lost);
    let mut waiting = EventSource::resume(ann, room, lost).await.expect("a stream");
    let (joined, id) = waiting.joined().await;
    assert_eq!((&joined["head"], id), (&json!(2), 2), "less than what was asked for");
    let mut socket = ann.enter(room).await;
    socket.chat(room, "next").await;
    let live = socket.find("chat").await;
    assert_eq!(live["prev"], 2);
    socket.chat(room, "and on").await;
    let heard = [live, socket.find("chat").await];
    assert_eq!(waiting.chats(2).await, heard, "live");
    for (after, from) in [(0, 0), (2, 2), (lost, 2)] {
        let mut stream = EventSource::resume(ann, room, after).await.expect("a stream");
        stream.joined().await;
        let chats = stream.chats(4 - from).await;
        assert_eq!(chats[2 - from..], heard, "from the log");
        assert_eq!(seqs(&chats), seqs(&ann.history(room).await[from..]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_slowly_gets_everything_in_order() {
    const SAID: u64 = 3_000;
    let text = |n: u64| format!("{n} {}", "x".repeat(2_000));
    let server = Parlor::start().await;
    let (ann, ben) = (server.person("ann").await, server.person("ben").await);
    for delivery in ["immediate", "committed"] {
        let room = committed::room(&ann, delivery).await;
        let slow = EventSource::open_with(&ben, room, "", "", Some(16 * 1024)).await;
        let mut slow = slow.expect("a stream");
        slow.joined().await;
        let mut prompt = EventSource::open(&ben, room, "").await;
        prompt.joined().await;
        let mut sender = ann.enter(room).await;
        for n in 1..=SAID {
            let frame = json!({"type": "chat", "roomId": room, "message": text(n)});
            sender.feed(&frame).await;
            if n % 100 == 0 {
                sender.flush().await;
                while sender.find("chat").await["seq"].as_u64() < Some(n) {}
            }
        }
        for stream in [&mut prompt, &mut slow] {
            for n in 1..=SAID {
                let chat = stream.chats(1).await.remove(0);
                assert_eq!((&chat["seq"], &chat["message"]), (&json!(n), &json!(text(n))));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_committed_room_hears_nothing_before_it_is_on_disk() {
    let server = Inside::start().await;
    let ann = server.person("ann").await;
    let rooms = [committed::room(&ann, "committed").await, ann.room("Immediate").await];
    let mut streams = Vec::new();
    for room in rooms {
        let mut stream = EventSource::open(&ann, room, "").await;
        stream.joined().await;
        streams.push(stream);
    }
    let mut socket = ann.enter(rooms[0]).await;
    socket.join(rooms[1]).await;
    server.hold();
    socket.chat(rooms[0], "secret").await;
    socket.chat(rooms[1], "open").await;
    socket.settle().await;
    let [held, open] = &mut streams[..] else { panic!("two streams") };
    assert_eq!(texts(&open.chats(1).await), ["open"]);
    let mut late = EventSource::open(&ann, rooms[0], "?after=0").await;
    let (joined, id) = late.joined().await;
    assert_eq!((&joined["head"], &joined["count"], id), (&json!(0), &json!(0), 0));
    for stream in [&mut *held, &mut late] {
        let heard = tokio::time::timeout(std::time::Duration::from_millis(50), stream.next());
        assert!(heard.await.is_err(), "something was heard");
    }
    server.release();
    for stream in [held, &mut late] {
        assert_eq!(texts(&stream.chats(1).await), ["secret"]);
    }
}

/// The answer to a request for a stream that does not become one.
async fn refused(person: &Person, query: &str, last: Option<&str>) -> Vec<String> {
    let request = person.api.request("GET", &format!("/rooms/1/events{query}"));
    let request = match last {
        Some(last) => request.header("Last-Event-ID", last),
        None => request,
    };
    let answer = Api::send(request).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{:?}", answer.json);
    answer.fields().into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_position_that_is_none_is_refused_by_its_name() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    assert_eq!(ann.room("General").await, 1);
    for bad in ["", "x", "-1", "1.0", "9007199254740992", "0x1", "1,2", "\u{fc}"] {
        assert_eq!(refused(&ann, &format!("?after={bad}"), None).await, ["after"], "{bad}");
        assert_eq!(refused(&ann, "?after=1", Some(bad)).await, ["Last-Event-ID"], "{bad}");
    }
    assert_eq!(refused(&ann, "?after=y", Some("x")).await, ["Last-Event-ID", "after"]);
    let path = "/rooms/1/events?after=x";
    assert_eq!(server.api().get(path).await.status, 401, "who it is comes first");
    assert_eq!(ann.api.get("/rooms/2/events").await.code(), "no_such_room");
    assert_eq!(ann.api.get("/rooms/nowhere/events").await.code(), "no_such_room");
}
