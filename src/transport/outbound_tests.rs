//! Outbounds: nothing is lost, nothing is held for longer than it waits.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte_in_order_and_the_budget_comes_back() {
    let (mut client, server) = pair().await;
    let budget = Budget::new(1 << 30);
    let (_read, write) = server.into_split();
    let outbound = Outbound::tcp(write, 1_000, Arc::clone(&budget));
    let frame = |index: u32| Bytes::from(vec![index.to_le_bytes()[0]; 10_000]);
    let mut sent = 0;
    while !outbound.is_full() {
        outbound.send(frame(sent));
        sent += 1;
    }
    assert!(budget.used() >= 1_000);
    let reading = tokio::spawn(async move {
        let mut received = vec![0; 10_000 * sent as usize];
        client.read_exact(&mut received).await.unwrap();
        received
    });
    outbound.drain_to(0).await.unwrap();
    let received = reading.await.unwrap();
    let expected: Vec<u8> = (0..sent).flat_map(|index| frame(index).to_vec()).collect();
    assert!(received == expected);
    assert_eq!((outbound.waiting_bytes(), budget.used()), (0, 0));
    assert_eq!(outbound.queued(), outbound.written());
}

#[tokio::test]
async fn nothing_follows_the_last_word_and_a_dead_peer_costs_nothing() {
    let (client, server) = tokio::io::duplex(4);
    let budget = Budget::new(100);
    let outbound = Outbound::stream(server, 50, Arc::clone(&budget));
    outbound.send_last(Bytes::from_static(b"bye and more"));
    outbound.send(Bytes::from_static(b"late"));
    assert_eq!(outbound.waiting_bytes(), 12);
    drop(client);
    assert!(outbound.drain_to(0).await.is_err());
    assert_eq!(budget.used(), 0);
}

/// Once it came back at once while the connection stayed full, and whoever asked went round in
/// circles.
#[tokio::test]
async fn with_the_budget_spent_a_connection_is_drained_to_the_last_byte() {
    let (mut client, server) = tokio::io::duplex(4);
    let budget = Budget::new(20);
    let outbound = Outbound::stream(server, 1_000, Arc::clone(&budget));
    budget.add(20);
    outbound.queue(Bytes::from_static(b"a few bytes"));
    assert!(outbound.is_full());
    let mut received = [0; 11];
    let read = async { client.read_exact(&mut received).await.map(|_| ()) };
    let (drained, read) = tokio::join!(outbound.drain_if_full(), read);
    drained.and(read).unwrap();
    assert!(!outbound.is_full());
}

#[test]
fn what_waits_is_given_back_when_the_connection_goes() {
    let (_client, server) = tokio::io::duplex(4);
    let budget = Budget::new(10);
    let outbound = Outbound::stream(server, 50, Arc::clone(&budget));
    assert!(!outbound.is_full());
    outbound.queue(Bytes::from_static(b"0123456789"));
    assert!(budget.is_spent() && outbound.is_full());
    drop(outbound);
    assert_eq!(budget.used(), 0);
}

proptest! {
    #[test]
    fn a_stream_gets_what_was_queued_however_it_is_cut(
        frames in vec(vec(any::<u8>(), 0..50), 0..90),
        pipe in 1..40usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let expected = frames.concat();
        let received = runtime.block_on(async move {
            let (mut client, server) = tokio::io::duplex(pipe);
            let outbound = Outbound::stream(server, 10, Budget::new(10));
            for frame in frames {
                outbound.queue(frame.into());
            }
            let mut received = Vec::new();
            let write = async move { outbound.drain_to(0).await.unwrap() };
            tokio::join!(write, async { client.read_to_end(&mut received).await.unwrap() });
            received
        });
        prop_assert_eq!(received, expected);
    }
}
