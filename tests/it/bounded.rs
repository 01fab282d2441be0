//! What one connection can make the server hold, seen from inside: the very session, over a pipe.

use std::sync::Arc;

use parlor::app::{App, CreateRoomRequest, SignUpRequest};
use parlor::domain::{Limits, MessageBody, Password, RoomName, Username};
use parlor::hub::Post;
use parlor::transport::Outbound;
use parlor::ws::serve;
use tokio::io::AsyncReadExt;

use crate::inside::{app, sessions};
use crate::support::within;

const ROOMS: usize = 40;
const MESSAGES: usize = 15;
const TEXT_BYTES: usize = 16_000;

/// Makes the rooms and what is said there; gives a token.
async fn fill(app: &App) -> String {
    let request = SignUpRequest {
        username: Username::parse("ann").unwrap(),
        password: Password::parse("correct horse").unwrap(),
        display_name: None,
        setup_code: None,
    };
    let token = app.sign_up(request, "127.0.0.1".parse().unwrap()).await.unwrap().token.token;
    let identity = app.authenticate(&token).await.unwrap();
    for room in 0..ROOMS {
        let name = RoomName::parse(&format!("r{room}")).unwrap();
        let request = CreateRoomRequest { name, slug: None, delivery: None };
        let view = app.create_room(&identity, request).await.unwrap();
        let room = app.live_room(view.room.room_id).await.unwrap();
        for _ in 0..MESSAGES {
            let body = MessageBody::parse(&"x".repeat(TEXT_BYTES), TEXT_BYTES).unwrap();
            let user = identity.user_id;
            room.publish(Post { user, username: "ann".into(), body, from: None }, None, 1).unwrap();
        }
        room.durable(room.head()).await;
    }
    token
}

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
    let app = app(&directory, &limits, || {});
    let token = fill(&app).await;
    let sessions = sessions(app, &limits);
    let (mut client, server) = tokio::io::duplex(1024);
    let (read, write) = tokio::io::split(server);
    let outbound = Outbound::stream(write, limits.waiting_bytes, Arc::clone(&sessions.output));
    let serving = Arc::clone(&sessions);
    let joins = (1..=ROOMS).flat_map(join).collect();
    let session =
        tokio::spawn(async move { serve(&serving, read, joins, outbound, Some(token)).await });
    let (mut received, mut most) = (0, 0);
    let mut buffer = [0; 1024];
    while received < ROOMS * MESSAGES * TEXT_BYTES {
        received += within("more", client.read(&mut buffer)).await.unwrap();
        most = most.max(sessions.output.used());
    }
    drop(client);
    session.await.unwrap();
    assert!(most < 3 * limits.waiting_bytes, "{most} bytes waited");
}
