//! What one connection can make the server hold, seen from inside: the very session, over a pipe.

use parlor::domain::Limits;
use tokio::io::AsyncReadExt;

use crate::bare::Bare;
use crate::support::within;

const ROOMS: usize = 40;
const MESSAGES: usize = 15;
const TEXT_BYTES: usize = 16_000;

/// `{"type":"join_room",…}` as a client's frame, masked with zeros.
fn join(room: usize) -> Vec<u8> {
    let text = format!(r#"{{"type":"join_room","roomId":{room},"after":0}}"#);
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(text.into_bytes());
    frame
}

/// A turn once read a page for each room that was behind, however full the outbound was: forty
/// rooms made ten megabytes wait for one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_that_is_behind_in_many_rooms_holds_about_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let bare = Bare::start(directory.path(), &limits);
    let (ann, token) = bare.sign_up("ann").await;
    for room in 0..ROOMS {
        let room = bare.room(&ann, &format!("r{room}")).await;
        for _ in 0..MESSAGES {
            Bare::say(&room, &ann, &"x".repeat(TEXT_BYTES)).await;
        }
        room.durable(room.head()).await;
    }
    let mut client = bare.pipe(&token, 1024, (1..=ROOMS).flat_map(join).collect());
    let (mut received, mut most) = (0, 0);
    let mut buffer = [0; 1024];
    while received < ROOMS * MESSAGES * TEXT_BYTES {
        received += within("more", client.read(&mut buffer)).await.unwrap();
        most = most.max(bare.sessions.output.used());
    }
    drop(client);
    bare.sessions.tracker.close();
    within("the session's end", bare.sessions.tracker.wait()).await;
    assert!(most < 2 * limits.waiting_bytes, "{most} bytes waited");
}
