//! The page of metrics: what it says is what was done, and it is where it should be.

mod page;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use parlor::config::Config;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use self::page::Page;
use crate::disk::limit_files;
use crate::process::{Program, Signal, UNHURRIED, run, start, start_limitable};
use crate::raw::{Raw, TEXT};
use crate::support::{Api, Parlor, Person, within};

const OPEN_METRICS: &str = "application/openmetrics-text";
/// What the kernel may keep for a client that does not read.
const NARROW: Option<u32> = Some(16 * 1024);

/// A server that serves metrics, too.
async fn parlor(change: impl FnOnce(&mut Config)) -> (Parlor, Scraper) {
    let server = Parlor::start_with(|config| {
        config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
        change(config);
    })
    .await;
    let addr = server.metrics.expect("an address");
    (server, Scraper { addr })
}

struct Scraper {
    addr: SocketAddr,
}

impl Scraper {
    /// The page of a server that runs by itself.
    async fn of(program: &mut Program) -> Self {
        let line = program.log_line("metrics at /metrics").await;
        let (_, addr) = line.split_once("addr=").expect("an address");
        Self { addr: addr.trim().parse().expect("an address") }
    }

    async fn get(&self, path: &str, accept: &str) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("http://{}{path}", self.addr)).header("accept", accept);
        within("an answer", request.send()).await.unwrap()
    }

    async fn page(&self) -> Page {
        let answer = self.get("/metrics", OPEN_METRICS).await;
        assert_eq!(answer.status(), 200);
        Page::parse(&answer.text().await.unwrap())
    }

    async fn value(&self, series: &str) -> f64 {
        self.page().await.value(series)
    }

    /// Asks until each of these series has this value.
    async fn shows(&self, expected: &[(&str, u32)]) {
        let what = format!("{expected:?}");
        within(&what, async {
            loop {
                let page = self.page().await;
                if expected.iter().all(|(series, value)| page.shows(series, *value)) {
                    return;
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_page_is_well_formed_and_the_readme_lists_what_is_on_it() {
    let (server, scraper) = parlor(|_| {}).await;
    let ann = server.person("ann").await;
    ann.say(ann.room("General").await, "hi").await;
    let rows = include_str!("../../README.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        let ours = name.starts_with("parlor_") || name.starts_with("process_");
        // Labels are told behind the name.
        let name = name.split('{').next().unwrap_or(name);
        ours.then(|| Some((name.to_owned(), cells.next()?.to_owned())))?
    });
    assert_eq!(scraper.page().await.list(), rows.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn each_reader_is_given_the_format_that_it_knows() {
    let (_server, scraper) = parlor(|_| {}).await;
    let known = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let answer = scraper.get("/metrics", known).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers()["content-type"].to_str().unwrap(), kind);
    let page = Page::parse(&answer.text().await.unwrap());
    let answer = scraper.get("/metrics", "*/*").await;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.headers()["content-type"].to_str().unwrap(), kind);
    let older = Page::parse_older(&answer.text().await.unwrap());
    assert_eq!(older.list(), page.list(), "the same in both");
}

#[tokio::test]
async fn it_is_on_a_listener_of_its_own_and_nothing_else_is() {
    let (server, scraper) = parlor(|_| {}).await;
    assert_eq!(server.api().get_root("/metrics").await.status, 404);
    for path in ["/", "/livez", "/readyz", "/ws", "/api/v1/rooms", "/openapi.json"] {
        assert_eq!(scraper.get(path, "*/*").await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn messages_are_measured_from_publication_to_ack_and_in_their_commits() {
    let (server, scraper) = parlor(|_| {}).await;
    let ann = server.person("ann").await;
    let room = ann.room("General").await;
    let before = scraper.value("parlor_commit_seconds_count").await;
    assert!(before >= 2.0, "an account and a room: {before}");
    let mut socket = ann.enter(room).await;
    for n in 0..5 {
        socket.chat_with_id(room, "acknowledged", &format!("c{n}")).await;
        socket.find("ack").await;
    }
    socket.chat(room, "nobody waits for it").await;
    ann.say(room, "over HTTP").await;
    scraper
        .shows(&[
            ("parlor_publish_to_ack_seconds_count", 6),
            ("parlor_publish_to_ack_seconds_bucket{le=\"+Inf\"}", 6),
            ("parlor_commit_messages_sum", 7),
        ])
        .await;
    let page = scraper.page().await;
    assert!(page.value("parlor_publish_to_ack_seconds_sum") > 0.0);
    assert!(page.value("parlor_publish_to_last_send_seconds_count") >= 1.0, "a member on a lane");
    assert!(page.value("parlor_publish_to_last_send_seconds_sum") > 0.0);
    assert!(page.value("parlor_commit_seconds_sum") > 0.0);
    assert!(page.value("parlor_commit_seconds_count") >= before + 6.0);
    let sized = page.value("parlor_commit_messages_count");
    assert!((page.value("parlor_commit_seconds_count") - sized).abs() < 0.5, "{sized}");
    // A message that was stored before is not published.
    socket.chat_with_id(room, "acknowledged", "c0").await;
    socket.find("ack").await;
    assert!(scraper.page().await.shows("parlor_publish_to_ack_seconds_count", 6));
}

#[tokio::test]
async fn rooms_connections_and_members_are_counted_as_they_come_and_go() {
    let (server, scraper) = parlor(|config| config.limits.connections = 77).await;
    let ann = server.person("ann").await;
    let (one, other) = (ann.room("One").await, ann.room("Other").await);
    scraper
        .shows(&[("parlor_rooms_live", 0), ("parlor_connections_limit", 77), ("parlor_ready", 1)])
        .await;
    let mut socket = ann.enter(one).await;
    socket.join(other).await;
    let third = ann.enter(one).await;
    let here = [("parlor_rooms_live", 2), ("parlor_connections", 2), ("parlor_members_live", 3)];
    scraper.shows(&here).await;
    assert!(scraper.page().await.shows("parlor_resumes_total", 0));
    ann.say(other, "hi").await;
    assert_eq!(socket.find("chat").await["seq"], 1);
    // In the same room again, and in another connection over HTTP.
    socket.join_after(other, 0).await;
    let events = format!("/rooms/{one}/events?after=0");
    let stream = ann.api.request("GET", &events).send().await.unwrap();
    let here = [
        ("parlor_resumes_total", 2),
        ("parlor_connections", 3),
        ("parlor_members_live", 4),
        ("parlor_members_catching_up", 0),
    ];
    scraper.shows(&here).await;
    socket.send(&json!({"type": "leave_room", "roomId": other})).await;
    socket.find("left").await;
    drop((third, stream));
    scraper.shows(&[("parlor_connections", 1), ("parlor_members_live", 1)]).await;
    drop(socket);
    scraper
        .shows(&[
            ("parlor_connections", 0),
            ("parlor_members_live", 0),
            ("parlor_closes_total{code=\"client\"}", 2),
        ])
        .await;
    assert!(scraper.page().await.shows("parlor_members_catching_up", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_seen_to_fall_behind_and_to_catch_up() {
    const SAID: u64 = 2_000;
    let (server, scraper) = parlor(|config| config.limits.waiting_bytes = 64 * 1024).await;
    let ann = server.person("ann").await;
    let room = ann.room("General").await;
    let mut slow = Raw::connect_narrow(&ann, NARROW).await;
    slow.text(&json!({"type": "join_room", "roomId": room})).await;
    slow.find("presence").await;
    let mut prompt = ann.enter(room).await;
    for n in 1..=SAID {
        prompt.chat(room, &format!("{n} {}", "x".repeat(1_000))).await;
        prompt.find("chat").await;
    }
    let waiting = scraper.value("parlor_waiting_bytes").await;
    assert!(waiting >= 64.0 * 1024.0, "{waiting}");
    for n in 1..=SAID {
        assert_eq!(slow.find("chat").await["seq"], n);
    }
    scraper
        .shows(&[
            ("parlor_members_live", 2),
            ("parlor_members_catching_up", 0),
            ("parlor_waiting_bytes", 0),
        ])
        .await;
    assert!(scraper.value("parlor_members_fallen_behind_total").await >= 1.0);
    // The whole log for somebody who does not read at all: it cannot catch up.
    let mut stuck = Raw::connect_narrow(&ann, NARROW).await;
    stuck.text(&json!({"type": "join_room", "roomId": room, "after": 0})).await;
    scraper.shows(&[("parlor_members_live", 2), ("parlor_members_catching_up", 1)]).await;
    drop(stuck);
    scraper.shows(&[("parlor_members_live", 2), ("parlor_members_catching_up", 0)]).await;
}

#[tokio::test]
async fn refusals_answers_and_closes_are_counted_by_their_codes() {
    let (server, scraper) = parlor(|config| {
        config.limits.messages_per_second = 1;
        config.limits.message_burst = 2;
    })
    .await;
    let ann = server.person("ann").await;
    let room = ann.room("General").await;
    let mut socket = ann.enter(room).await;
    socket.refused(&json!({"type": "leave_room", "roomId": room + 1})).await;
    socket.refused(&json!({"type": "sing"})).await;
    socket.chat(room, "the last one for a while").await;
    socket.chat(room, "too much").await;
    socket.find("error").await;
    assert_eq!(server.api().get("/me").await.status, 401);
    assert_eq!(server.api().get_root("/nowhere").await.status, 404);
    socket.send_message(Message::binary(b"x".to_vec())).await;
    // A refused upgrade, and a socket whose token is none.
    assert_eq!(server.api().get_root("/ws").await.status, 426);
    let mut stranger = crate::support::Socket::open(server.addr, "/ws?token=x").await;
    assert_eq!(stranger.next_or_code().await, Some(Err(4401)));
    scraper
        .shows(&[
            ("parlor_refusals_total{code=\"not_in_room\"}", 1),
            ("parlor_refusals_total{code=\"unknown_type\"}", 1),
            ("parlor_refusals_total{code=\"rate_limited\"}", 1),
            ("parlor_refusals_total{code=\"unauthorized\"}", 1),
            ("parlor_refusals_total{code=\"not_found\"}", 1),
            ("parlor_refusals_total{code=\"overloaded\"}", 0),
            // An account and a room; two upgrades; what was refused.
            ("parlor_http_responses_total{class=\"2xx\"}", 2),
            ("parlor_http_responses_total{class=\"1xx\"}", 2),
            ("parlor_http_responses_total{class=\"4xx\"}", 3),
            ("parlor_http_responses_total{class=\"5xx\"}", 0),
            ("parlor_closes_total{code=\"1003\"}", 1),
            ("parlor_closes_total{code=\"4401\"}", 1),
            ("parlor_closes_total{code=\"client\"}", 0),
        ])
        .await;
}

#[tokio::test]
async fn bytes_of_an_unfinished_message_are_seen() {
    let (server, scraper) = parlor(|_| {}).await;
    let ann = server.person("ann").await;
    let mut raw = Raw::connect(&ann).await;
    // Masked, of 60,000 bytes, half of which come.
    let head = [TEXT, 0xfe, 0xea, 0x60, 1, 2, 3, 4];
    raw.write(&[&head[..], &vec![b'x'; 30_000]].concat()).await;
    within("bytes", async {
        while scraper.value("parlor_partial_input_bytes").await < 20_000.0 {}
    })
    .await;
    drop(raw);
    scraper.shows(&[("parlor_partial_input_bytes", 0)]).await;
}

#[tokio::test]
async fn a_failing_disk_is_seen_and_so_is_its_end() {
    let place = tempfile::tempdir().unwrap();
    let environment = [&UNHURRIED[..], &[("PARLOR_METRICS__LISTEN", "127.0.0.1:0")]].concat();
    let mut program = start_limitable(place.path(), &environment, false);
    let addr = program.addr().await;
    let scraper = Scraper::of(&mut program).await;
    let ann = Person::sign_up(addr, "ann").await;
    let room = ann.room("General").await;
    scraper
        .shows(&[
            ("parlor_storage_ok", 1),
            ("parlor_ready", 1),
            ("parlor_storage_faults_total", 0),
            (concat!("parlor_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1),
        ])
        .await;
    let started = scraper.value("process_start_time_seconds").await;
    let age = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - started;
    assert!((0.0..3_600.0).contains(&age), "{age}");

    limit_files(&program, Some(0));
    let mut socket = ann.enter(room).await;
    socket.chat_with_id(room, "waits", "c1").await;
    let failing = [
        ("parlor_storage_ok", 0),
        ("parlor_ready", 0),
        ("parlor_storage_faults_total", 1),
        ("parlor_publish_to_ack_seconds_count", 0),
    ];
    scraper.shows(&failing).await;
    socket.chat(room, "refused").await;
    assert_eq!(socket.find("error").await["code"], "unavailable");
    scraper.shows(&[("parlor_refusals_total{code=\"unavailable\"}", 1)]).await;
    limit_files(&program, None);
    socket.find("ack").await;
    let mended = [
        ("parlor_storage_ok", 1),
        ("parlor_ready", 1),
        ("parlor_storage_faults_total", 1),
        ("parlor_publish_to_ack_seconds_count", 1),
    ];
    scraper.shows(&mended).await;
    program.signal(Signal::TERM);
    program.ended().await;
}

#[tokio::test]
async fn a_scraper_that_never_ends_its_request_holds_up_no_stop() {
    let (server, scraper) = parlor(|_| {}).await;
    let mut slow = TcpStream::connect(scraper.addr).await.unwrap();
    slow.write_all(b"GET /met").await.unwrap();
    scraper.page().await;
    server.stop().await;
    assert!(TcpStream::connect(scraper.addr).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let server = Parlor::start_with(|config| config.metrics.listen = None).await;
    assert_eq!(server.metrics, None);

    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &["serve", "--metrics-listen", "off"], &UNHURRIED);
    program.addr().await;
    program.signal(Signal::TERM);
    let ended = program.ended().await;
    ended.succeeded();
    assert!(!ended.err.contains("/metrics"), "{}", ended.err);
    let shown = run(place.path(), &["config", "show", "--metrics-listen", "off"], &[]).await;
    assert!(shown.out.contains("listen = \"off\" # flag --metrics-listen"), "{shown:?}");
}

#[tokio::test]
async fn an_address_that_was_asked_for_and_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let place = tempfile::tempdir().unwrap();
    let ended = run(place.path(), &["serve", "--metrics-listen", &addr], &UNHURRIED).await;
    ended.failed_saying(&["cannot listen for metrics on", &addr, "in use"]);
    // It is no crash: nothing is left for the next start to make good.
    let mut program = start(place.path(), &[], &UNHURRIED);
    let ann = Person::sign_up(program.addr().await, "ann").await;
    assert_eq!(ann.say(ann.room("General").await, "first").await, 1);
    assert_eq!(Api::new(program.addr().await).get_root("/livez").await.status, 200);
}
