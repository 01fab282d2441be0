//! See the parent.

use super::*;
use futures_util::FutureExt;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data::{Binary, Continue, Text};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

fn data(kind: Data, payload: &[u8], fin: bool) -> Vec<u8> {
    masked(Frame::message(payload.to_vec(), OpCode::Data(kind), fin))
}

fn masked(mut frame: Frame) -> Vec<u8> {
    *frame.header_mut() = FrameHeader { mask: Some([1, 2, 3, 4]), ..frame.header().clone() };
    let mut bytes = Vec::new();
    frame.format(&mut bytes).unwrap();
    bytes
}

fn text(payload: &[u8]) -> Vec<u8> {
    data(Text, payload, true)
}

fn options() -> ReaderOptions {
    ReaderOptions {
        message_bytes: 10_000,
        input: Budget::new(6_000),
        received: Arc::new(AtomicU64::new(0)),
    }
}

async fn read_all(input: Vec<u8>, options: ReaderOptions) -> (Vec<String>, ReadEnd, u64) {
    let outbound = Outbound::stream(tokio::io::sink(), 1_000, Budget::new(1_000));
    let mut reader = MessageReader::new(input.as_slice(), &[], Arc::clone(&outbound), options);
    let mut texts = Vec::new();
    loop {
        match reader.next().await {
            Ok(Inbound::Text(text)) => texts.push(text.to_string()),
            Ok(Inbound::Control) => {}
            Err(end) => return (texts, end, outbound.queued()),
        }
    }
}

#[tokio::test]
async fn messages_whole_and_in_fragments() {
    let input = [
        text(b"one"),
        data(Text, b"tw", false),
        masked(Frame::ping(b"x".to_vec())),
        data(Continue, b"o", true),
    ];
    let (texts, end, answered) = read_all(input.concat(), options()).await;
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(end, ReadEnd::Gone);
    assert_eq!(answered, 3, "a pong with its payload");
}

/// The echo went out as soon as the goodbye was seen, before the answers to what had come with
/// it.
#[tokio::test]
async fn a_goodbye_is_answered_by_the_next_call() {
    let outbound = Outbound::stream(tokio::io::sink(), 1_000, Budget::new(1_000));
    let input = [text(b"one"), vec![0x88, 0x80, 0, 0, 0, 0]].concat();
    let stream = input.as_slice();
    let mut reader = MessageReader::new(stream, &[], Arc::clone(&outbound), options());
    assert_eq!(reader.next().await, Ok(Inbound::Text("one".into())));
    assert_eq!(reader.next().await, Ok(Inbound::Control));
    assert_eq!(outbound.queued(), 0);
    assert_eq!(reader.next().await, Err(ReadEnd::Closed));
    assert!(outbound.queued() > 0);
}

#[tokio::test]
async fn each_violation_has_its_own_end() {
    let cases = [
        (text(b"\xff"), ReadEnd::NotUtf8),
        (text(&[b'x'; 10_001]), ReadEnd::TooBig),
        (data(Binary, b"x", true), ReadEnd::Binary),
        (vec![0x81, 1, b'x'], ReadEnd::Protocol),
        (vec![0xf1, 0x80, 0, 0, 0, 0], ReadEnd::Protocol),
        (data(Continue, b"x", true), ReadEnd::Protocol),
        (vec![0x88, 0x80, 0, 0, 0, 0], ReadEnd::Closed),
        (vec![], ReadEnd::Gone),
        (vec![0x81], ReadEnd::Gone),
    ];
    for (input, expected) in cases {
        let (texts, end, _) = read_all(input.clone(), options()).await;
        assert_eq!((texts.len(), end), (0, expected), "{input:?}");
    }
}

/// A ping between two fragments once gave back what the message was charged.
#[tokio::test]
async fn a_ping_does_not_free_the_message_around_it() {
    let options = options();
    let input = [
        data(Text, &[b'x'; 9_000], false),
        masked(Frame::ping(b"x".to_vec())),
        data(Continue, b"x", false),
    ];
    let outbound = Outbound::stream(tokio::io::sink(), 1_000, Budget::new(1_000));
    let input = input.concat();
    let stream = tokio::io::AsyncReadExt::chain(input.as_slice(), tokio::io::empty());
    let mut reader = MessageReader::new(stream, &[], outbound, options.clone());
    assert_eq!(reader.next().await, Ok(Inbound::Control));
    assert!(options.input.used() >= 9_000 - 2 * READ_BUFFER_BYTES, "{}", options.input.used());
    assert_eq!(reader.next().await, Err(ReadEnd::Gone));
    drop(reader);
    assert_eq!(options.input.used(), 0);
}

/// Headers were charged, too, and whoever sent enough of them had the budget of all to itself.
#[tokio::test]
async fn frames_of_nothing_hold_nothing() {
    let options = options();
    let nothing = data(Continue, b"", false);
    let input = [data(Text, b"", false), nothing.repeat(5_000)].concat();
    let outbound = Outbound::closed();
    let stream = tokio::io::AsyncReadExt::chain(input.as_slice(), tokio::io::empty());
    let mut reader = MessageReader::new(stream, &[], outbound, options.clone());
    assert_eq!(reader.next().await, Err(ReadEnd::Gone));
    assert_eq!(options.input.used(), 0);
}

#[tokio::test]
async fn unfinished_messages_share_a_budget_that_comes_back() {
    let options = options();
    let input = text(&[b'x'; 9_000]);
    let (texts, ..) = read_all(input.clone(), options.clone()).await;
    assert_eq!((texts.len(), options.input.used()), (1, 0));
    options.input.add(6_000);
    let (texts, end, _) = read_all(input, options.clone()).await;
    assert_eq!((texts.len(), end), (0, ReadEnd::NoInputBudget));
    assert_eq!(options.input.used(), 6_000);
}

/// What one parser says that is given everything at once.
fn of_one_parser(input: &[u8]) -> (Vec<String>, ReadEnd) {
    let outbound = Outbound::closed();
    let mut parser = Parser::new(input.to_vec(), options().message_bytes);
    let mut texts = Vec::new();
    loop {
        match parser.next(&outbound) {
            Ok(Message::Text(text)) => texts.push(text.to_string()),
            Ok(Message::Binary(_)) => return (texts, ReadEnd::Binary),
            Ok(_) => {}
            Err(Error::Io(_)) => return (texts, ReadEnd::Gone),
            Err(error) => return (texts, read_end(&error)),
        }
    }
}

/// A stream that gives its bytes in pieces of these lengths, over and over.
struct Pieces<'a> {
    rest: &'a [u8],
    lengths: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.lengths.next().unwrap_or(1);
        let length = length.min(self.rest.len()).min(buffer.remaining());
        let (piece, rest) = self.rest.split_at(length);
        buffer.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let payload = || proptest::collection::vec(b'a'..=b'z', 0..300);
    let frame = prop_oneof![
        6 => payload().prop_map(|payload| text(&payload)),
        3 => (payload(), any::<bool>()).prop_map(|(payload, fin)| data(Text, &payload, fin)),
        3 => (payload(), any::<bool>()).prop_map(|(payload, fin)| data(Continue, &payload, fin)),
        2 => payload().prop_map(|payload| masked(Frame::ping(payload))),
        1 => Just(masked(Frame::close(None))),
        1 => Just(text(&[b'x'; 5_000])),
        1 => Just(data(Text, &[b'x'; 6_000], false)),
        1 => proptest::collection::vec(any::<u8>(), 1..20),
    ];
    proptest::collection::vec(frame, 0..12)
}

proptest! {
    /// However the bytes come, and whatever they are, they say what they say to a parser that has
    /// them all from the beginning; and an idle reader holds nothing.
    #[test]
    fn pieces_say_what_the_whole_says(
        frames in frames(),
        already in 0_usize..100,
        lengths in proptest::collection::vec(1_usize..600, 1..8),
    ) {
        let input = frames.concat();
        let options = ReaderOptions { input: Budget::new(1 << 20), ..options() };
        let outbound = Outbound::closed();
        let (already, rest) = input.split_at(already.min(input.len()));
        let stream = Pieces { rest, lengths: lengths.into_iter().cycle() };
        let mut reader = MessageReader::new(stream, already, outbound, options.clone());
        let mut texts = Vec::new();
        let end = loop {
            match reader.next().now_or_never().unwrap() {
                Ok(Inbound::Text(text)) => texts.push(text.to_string()),
                Ok(Inbound::Control) => {}
                Err(end) => break end,
            }
        };
        prop_assert_eq!((texts, end), of_one_parser(&input));
        let held = reader.boundary.unfinished() + reader.cut.capacity();
        prop_assert_eq!(reader.charged, held.saturating_sub(READ_BUFFER_BYTES));
        if end == ReadEnd::Gone && !reader.boundary.is_within_message() {
            prop_assert!(reader.parser.is_none());
        }
        drop(reader);
        prop_assert_eq!(options.input.used(), 0);
    }
}
