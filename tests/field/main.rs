//! The benchmarks' counting: a loss, a double or a disorder that it cannot see is none.

#[path = "../../benches/field/delays.rs"]
mod delays;
#[path = "../../benches/field/tally.rs"]
mod tally;
#[path = "../../benches/field/wire.rs"]
mod wire;

use delays::Delays;
use tally::Tally;
use wire::{Finder, Frame};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Counts of what two members heard of two senders, the second member always in order.
fn heard(by_the_first: &[(usize, u32, u64)]) -> (u64, u64, u64) {
    let mut tally = Tally::new(2, 2);
    for (sender, number, seq) in by_the_first {
        tally.hear(0, *sender, *number, Some(*seq));
    }
    for number in 0..4 {
        tally.hear(1, 0, number, Some(u64::from(number) + 1));
    }
    (tally.delivered, tally.doubled, tally.disordered)
}

#[test]
fn in_order_is_sound() {
    assert_eq!(heard(&[(0, 0, 1), (1, 0, 2), (1, 1, 3), (0, 1, 9)]), (8, 0, 0));
}

#[test]
fn what_is_missing_is_not_delivered() {
    assert_eq!(heard(&[(0, 0, 1), (0, 3, 4)]), (6, 0, 0));
}

#[test]
fn what_comes_twice_is_doubled() {
    assert_eq!(heard(&[(0, 0, 1), (0, 1, 2), (0, 1, 2), (0, 0, 1)]), (6, 2, 0));
}

#[test]
fn what_comes_late_is_out_of_order_once_and_then_doubled() {
    let late = [(0, 0, 1), (0, 4, 5), (0, 2, 6), (0, 1, 7), (0, 3, 8), (0, 2, 9)];
    assert_eq!(heard(&late), (9, 1, 3));
}

#[test]
fn two_senders_messages_in_another_order_are_out_of_order() {
    assert_eq!(heard(&[(0, 0, 2), (1, 0, 1), (0, 1, 3)]), (7, 0, 1));
    assert_eq!(heard(&[(0, 0, 2), (1, 0, 2)]), (6, 0, 1));
}

/// A server's frame.
fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    let [high, low] = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    if high == 0 && low < 126 {
        frame.push(low);
    } else {
        frame.extend([126, high, low]);
    }
    frame.extend(payload);
    frame
}

#[test]
fn frames_are_walked_wherever_they_are_cut() {
    let texts = [vec![b'a'; 5], vec![b'b'; 300], Vec::new(), vec![b'c'; 125], vec![b'd'; 126]];
    let bytes = texts.iter().map(|text| framed(1, text)).collect::<Vec<_>>().concat();
    for cut in 0..=bytes.len() {
        let (mut found, mut rest) = (Vec::new(), Vec::new());
        for part in [&bytes[..cut], &bytes[cut..]] {
            rest.extend_from_slice(part);
            let used = wire::walk(&rest, |frame| match frame {
                Frame::Text(text) => found.push(text.to_vec()),
                Frame::Ping | Frame::Close(_) => panic!("neither was sent"),
            });
            rest.drain(..used.unwrap());
        }
        assert_eq!((found.as_slice(), rest.len()), (texts.as_slice(), 0), "cut at {cut}");
    }
}

#[test]
fn pings_and_closes_are_told_and_binaries_refused() {
    let bytes = [framed(9, b""), framed(8, b"why")].concat();
    let mut told = Vec::new();
    let used = wire::walk(&bytes, |frame| match frame {
        Frame::Ping => told.push(Vec::new()),
        Frame::Close(reason) => told.push(reason.to_vec()),
        Frame::Text(_) => panic!("none was sent"),
    });
    assert_eq!((used.unwrap(), told), (bytes.len(), vec![Vec::new(), b"why".to_vec()]));
    assert!(wire::walk(&framed(2, b"x"), |_| {}).is_err());
}

#[test]
fn marks_are_found_among_other_frames() {
    let chat = |before: &str, sender, number| {
        let text = wire::text(sender, number);
        format!("{{{before}\"message\":\"{text}\",\"seq\":{number},\"at\":1790000000000}}")
    };
    let mut finder = Finder::default();
    let mut mark = |payload: &str| finder.mark(payload.as_bytes());
    assert_eq!(mark(&chat("\"userId\":1,", 3, 70_001)), Some((3, 70_001)));
    assert_eq!(mark(r#"{"type":"presence","roomId":1,"count":64}"#), None);
    assert_eq!(mark(&chat("\"userId\":1234,", 12, 0)), Some((12, 0)));
    assert_eq!(wire::seq(chat("", 1, 58).as_bytes()), Some(58));
    assert_eq!(wire::seq(b"{\"type\":\"presence\",\"roomId\":1,\"count\":64}"), None);
}

#[test]
fn what_a_client_says_is_masked_and_comes_back_by_its_mask() {
    let text = "x".repeat(200);
    let mut frame = Vec::new();
    wire::say(&mut frame, text.as_bytes());
    assert_eq!((frame[0], frame[1], &frame[2..4]), (0x81, 0xFE, [0, 200].as_slice()));
    let (mask, masked) = frame[4..].split_at(4);
    assert_ne!(masked, text.as_bytes());
    let unmasked = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    assert_eq!(unmasked.collect::<Vec<_>>(), text.as_bytes());
    assert_eq!(wire::pong()[..2], [0x8A, 0x80]);
}

#[test]
fn the_middle_and_the_last_member_are_of_each_message() {
    let mut delays = Delays::new(2, 3, 1);
    let now = delays.send(0);
    delays.send(1);
    for (member, delay) in [5_000_000, 1_000_000, 3_000_000].into_iter().enumerate() {
        delays.hear(member, 0, 0, Some(now + delay));
    }
    // Nobody heard the second one, and nobody sent this one.
    delays.hear(0, 0, 7, Some(now));
    let (middle, last) = delays.conclude();
    assert_eq!((middle.p50, middle.p99, last.p50, last.p99), (3.0, 3.0, 5.0, 5.0));
}
