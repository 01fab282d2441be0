//! `parlor load` against servers of this process: what it finds, what holds it back, and that it
//! takes away what it made.

mod lossy;

use parlor::config::{Config, Signup};
use serde_json::{Value, json};

use crate::process::{Ended, Program, Signal, run, start};
use crate::support::{Api, PASSWORD, Parlor, within};

use lossy::{Lossy, Mischief};

/// A run against a server whose first account is somebody else's.
async fn load(server: &Parlor, arguments: &str) -> Ended {
    let place = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.addr);
    let mut line = vec!["load", &url];
    line.extend(arguments.split_whitespace());
    run(place.path(), &line, &[]).await
}

fn begin(server: &Parlor, arguments: &str) -> Program {
    let place = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.addr);
    let mut line = vec!["load", &url];
    line.extend(arguments.split_whitespace());
    start(place.path(), &line, &[])
}

fn figures(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

async fn rooms(api: &Api) -> Vec<String> {
    let answer = api.get("/rooms").await;
    let rooms = answer.json["rooms"].as_array().expect("rooms").clone();
    rooms.iter().map(|room| room["slug"].as_str().expect("a slug").to_owned()).collect()
}

/// The settings that held a run back.
fn held_back(figures: &Value) -> Vec<&str> {
    let held = figures["heldBack"].as_array().expect("a list");
    held.iter()
        .flat_map(|held| held["keys"].as_array().expect("keys"))
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test]
async fn everything_reaches_everybody_and_nothing_stays_behind() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let arguments = "--members 30 --rooms 3 --senders 6 --rate 300 --seconds 1 --users 2 --json";
    let ended = load(&server, &format!("{arguments} --server-pid {}", std::process::id())).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let figures = figures(&ended);
    let sent = figures["sent"].as_u64().unwrap();
    assert!(sent > 0, "{figures}");
    assert_eq!(figures["acked"], sent);
    assert_eq!(
        (&figures["expected"], &figures["delivered"]),
        (&json!(10 * sent), &json!(10 * sent))
    );
    for nothing in ["missing", "doubled", "outOfOrder", "refused"] {
        assert_eq!(figures[nothing], 0, "{nothing}: {figures}");
    }
    for whose in ["firstMember", "middleMember", "lastMember", "ack"] {
        assert_eq!(figures["delays"][whose]["count"], sent, "{figures}");
    }
    assert!(figures["server"]["memoryBefore"].as_u64().unwrap() > 0, "{figures}");
    assert!(ended.err.contains("deleted 3 rooms and 2 accounts"), "{ended:?}");
    assert_eq!(rooms(&ann.api).await, [""; 0]);
}

#[tokio::test]
async fn a_window_is_kept_full_with_ids_or_without() {
    let server = Parlor::start().await;
    server.person("ann").await;
    for more in ["", "--without-ids"] {
        let arguments = format!("--members 4 --senders 2 --window 3 --seconds 1 --bytes 24 {more}");
        let ended = load(&server, &format!("{arguments} --json")).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let figures = figures(&ended);
        let sent = figures["sent"].as_u64().unwrap();
        // More than what fits the windows: they were filled again.
        assert!(sent > 6, "{figures}");
        assert_eq!(figures["delivered"], 4 * sent, "{figures}");
        assert_eq!(figures.get("acked").is_some(), more.is_empty(), "{figures}");
    }
}

#[tokio::test]
async fn people_get_a_table() {
    let server = Parlor::start().await;
    server.person("ann").await;
    let ended = load(&server, "--members 5 --seconds 1").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in ["members", "missing", "to the middle member", "to the ack", "held back by"] {
        assert!(ended.out.lines().any(|line| line.starts_with(name)), "{name}: {ended:?}");
    }
}

#[tokio::test]
async fn somebodys_account_is_used_and_kept() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let ended = load(&server, &format!("--members 8 --seconds 1 --token {}", ann.token)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("deleted 1 room and 0 accounts"), "{ended:?}");
    assert_eq!(ann.api.get("/me").await.status, 200);
    assert_eq!(rooms(&ann.api).await, [""; 0]);
}

/// Its first account once was the admin, and deleted; nobody could be the admin after that.
#[tokio::test]
async fn the_first_account_of_a_database_is_kept_and_told() {
    let server = Parlor::start().await;
    let ended = load(&server, "--members 2 --seconds 1").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = |end: &str| ended.err.lines().find(|line| line.contains(end)).expect("a line");
    let (username, _) = line("its admin for ever").split_once(' ').unwrap();
    let (_, password) = line("password: ").split_once("password: ").unwrap();
    let body = json!({"username": username, "password": password});
    let answer = server.api().post("/signin", &body).await;
    assert_eq!(answer.json["user"]["role"], "admin", "{answer:?}");
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_and_named() {
    let server = Parlor::start_with(|config| {
        config.limits.messages_per_second = 20;
        config.limits.message_burst = 5;
    })
    .await;
    server.person("ann").await;
    for pace in ["--rate 200", "--window 8"] {
        let ended = load(&server, &format!("--members 3 --seconds 1 {pace} --json")).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let figures = figures(&ended);
        let refused = figures["refused"].as_u64().unwrap();
        assert!(refused > 0, "{figures}");
        assert_eq!(figures["delivered"], figures["expected"], "{figures}");
        let keys = held_back(&figures);
        assert!(keys.contains(&"limits.messages_per_second"), "{figures}");
        let held = &figures["heldBack"][0];
        // Making the room may have met it too.
        assert!(held["times"].as_u64().unwrap() >= refused, "{figures}");
        assert!(held["waitedSeconds"].as_f64().unwrap() > 0.0, "{figures}");
    }
}

#[tokio::test]
async fn what_keeps_members_out_is_named() {
    type Change = fn(&mut Config);
    let cases: [(Change, &str); 4] = [
        (
            |config| config.limits.connections_per_user = 3,
            "closed by the server with 4409 (limits.connections_per_user)",
        ),
        (
            |config| config.limits.connections = 5,
            "closed by the server with 1013 (limits.connections)",
        ),
        (
            |config| config.limits.message_bytes = 99,
            "--bytes 100: the server's limits.message_bytes is 99",
        ),
        (|config| config.auth.signup = Signup::Closed, "(auth.signup: "),
    ];
    for (change, told) in cases {
        let server = Parlor::start_with(change).await;
        if !told.contains("auth.signup") {
            server.person("ann").await;
        }
        let ended = load(&server, "--members 10 --seconds 1").await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.out.contains(told) || ended.err.contains(told), "{told}: {ended:?}");
        assert!(!ended.err.contains("NOT deleted"), "{ended:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_signal_ends_it_early_and_nothing_stays_behind() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let mut program = begin(&server, "--members 6 --seconds 600 --json");
    program.logged("delivered").await;
    let slug = rooms(&ann.api).await.pop().expect("a room");
    program.signal(Signal::INT);
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(128 + 2), "{ended:?}");
    let figures = figures(&ended);
    assert_eq!(figures["interrupted"], true, "{figures}");
    assert_eq!((&figures["missing"], &figures["doubled"]), (&json!(0), &json!(0)), "{figures}");
    assert_eq!(rooms(&ann.api).await, [""; 0]);
    // An account of a run has the name of its room; it is free again.
    let body = json!({"username": slug, "password": PASSWORD});
    assert_eq!(server.api().post("/signup", &body).await.status, 201);
}

#[tokio::test]
async fn a_second_signal_leaves_what_would_take_long_and_names_it() {
    let server = Parlor::start_with(|config| config.limits.sign_ins_per_minute = 4).await;
    server.person("ann").await;
    let mut program = begin(&server, "--members 8 --users 8 --seconds 600");
    program.logged("account 4 of 8: waiting").await;
    program.signal(Signal::TERM);
    program.logged("deleting 3 accounts: waiting").await;
    program.signal(Signal::TERM);
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(128 + 15), "{ended:?}");
    let line = |start: &str| ended.err.lines().find_map(|line| line.trim().strip_prefix(start));
    assert_eq!(line("NOT deleted"), Some(" (interrupted):"), "{ended:?}");
    let left: Vec<_> = line("accounts: ").expect("names").split(' ').collect();
    assert_eq!(left.len(), 3, "{ended:?}");
    assert!(line("password: ").is_some() && ended.err.contains("limits.sign_ins_per_minute"));
    for username in left {
        let body = json!({"username": username, "password": PASSWORD});
        assert_ne!(server.api().post("/signup", &body).await.status, 201, "{username}");
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_with_what_it_left_behind() {
    let server = Parlor::start().await;
    server.person("ann").await;
    let mut program = begin(&server, "--members 6 --seconds 600");
    program.logged("delivered").await;
    server.stop().await;
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("closed by the server with 1012"), "{ended:?}");
    for text in ["NOT deleted", "rooms: load-", "accounts: load-"] {
        assert!(ended.err.contains(text), "{text}: {ended:?}");
    }
}

#[tokio::test]
async fn nobody_there_and_wrong_usage_are_told_in_a_line() {
    let place = tempfile::tempdir().unwrap();
    let load = async |line: &[&str]| run(place.path(), line, &[]).await;
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = load(&["load", &format!("http://{free}")]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("no connection to"), "{ended:?}");
    // The first account, which it had only asked for, was called not deleted.
    assert!(!ended.err.contains("NOT deleted"), "{ended:?}");
    let ended = load(&["load", "https://example.org"]).await;
    ended.failed_saying(&["https://", "TLS"]);
    let ended = load(&["load", "--rooms", "5", "--members", "4", "--bytes", "3"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("--rooms 5") && ended.err.contains("--bytes 3"), "{ended:?}");
    let ended = load(&["load", "--rate", "5", "--window", "4"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

/// Against a server that does it wrong, the checks fail.
#[tokio::test]
async fn what_a_server_loses_doubles_or_reorders_is_found() {
    for (mischief, expected) in [
        (Mischief::None, [0, 0, 0]),
        (Mischief::Mute, [0, 0, 0]),
        (Mischief::Lose, [1, 0, 0]),
        (Mischief::Double, [0, 1, 0]),
        (Mischief::Swap, [0, 0, 1]),
        (Mischief::Renumber, [0, 0, 1]),
    ] {
        let server = Lossy::start(mischief).await;
        let place = tempfile::tempdir().unwrap();
        let url = format!("http://{}", server.addr);
        let line = ["load", &url, "--members", "3", "--senders", "1", "--seconds", "1", "--json"];
        let ended = run(place.path(), &line, &[]).await;
        let figures = figures(&ended);
        let mut found =
            ["missing", "doubled", "outOfOrder"].map(|name| figures[name].as_u64().unwrap());
        if mischief == Mischief::Renumber {
            // Where the liar is the first to be heard, the other two members differ from it.
            found[2] = found[2].min(1);
        }
        assert_eq!(found, expected, "{mischief:?}: {ended:?}");
        let code = i32::from(mischief != Mischief::None);
        assert_eq!(ended.code, Some(code), "{mischief:?}: {ended:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_named() {
    let server = Lossy::start(Mischief::Keep).await;
    let place = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.addr);
    let line = ["load", &url, "--members", "3", "--seconds", "1"];
    let ended = within("the run", run(place.path(), &line, &[])).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for text in ["NOT deleted (500", "rooms: load-", "accounts: load-", "password: "] {
        assert!(ended.err.contains(text), "{text}: {ended:?}");
    }
}
