//! What an operator sees of a start, and what a first visitor finds.

use serde_json::{Value, json};

use crate::process::{Signal, UNHURRIED, run, start};
use crate::support::{Api, PASSWORD, Person};

fn account(username: &str, code: Option<&str>) -> Value {
    json!({"username": username, "password": PASSWORD, "setupCode": code})
}

#[tokio::test]
async fn without_arguments_it_serves_and_says_how_to_begin() {
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &[], &[("PARLOR_LISTEN", "127.0.0.1:0")]);
    let addr = program.addr().await;
    assert_ne!(addr.port(), 0, "the real port");
    assert!(place.path().join("data").is_dir());
    let intro =
        "There is no account yet. Whoever signs up first, on this machine or elsewhere with ";
    program.line(intro).await;
    program.line("  curl ").await;
    let data = program.line("    -d ").await;
    let printed = program.printed();
    assert!(printed.contains(&format!("Open http://{addr}/\n")), "{printed}");
    assert!(printed.contains(&format!("curl http://{addr}/api/v1/signup")), "{printed}");
    assert!(!printed.contains("setupCode"), "it needs none here: {printed}");

    // What is printed works as it stands.
    let body: Value = serde_json::from_str(data.trim_matches('\'')).unwrap();
    let first = Api::new(addr).post("/signup", &body).await;
    assert_eq!((first.status, &first.json["user"]["role"]), (201, &json!("admin")));
    let second = Api::new(addr).post("/signup", &account("ben", None)).await;
    assert_eq!((second.status, &second.json["user"]["role"]), (201, &json!("member")));

    program.signal(Signal::TERM);
    program.ended().await.succeeded();
    let mut again = start(place.path(), &["serve"], &UNHURRIED);
    Person::sign_in(again.addr().await, "ben").await;
    again.signal(Signal::TERM);
    let ended = again.ended().await;
    ended.succeeded();
    assert!(!ended.out.contains("no account"), "{}", ended.out);
}

#[tokio::test]
async fn where_others_can_reach_it_the_first_account_takes_the_printed_code() {
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &["--listen", "0.0.0.0:0"], &UNHURRIED[1..]);
    let addr = program.addr().await;
    let intro = "There is no account yet. Whoever signs up first, with the setup code ";
    let code = program.line(intro).await;
    let code = code.split_once(',').unwrap().0;
    assert!(code.len() >= 8, "{code}");

    let api = Api::new(([127, 0, 0, 1], addr.port()).into());
    for wrong in [None, Some(""), Some("0000-0000"), Some(&code[1..])] {
        let refused = api.post("/signup", &account("ann", wrong)).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid"), "{wrong:?}");
        assert_eq!(refused.fields(), ["setupCode"], "{wrong:?}");
    }
    let first = api.post("/signup", &account("ann", Some(code))).await;
    assert_eq!((first.status, &first.json["user"]["role"]), (201, &json!("admin")));
    let second = api.post("/signup", &account("ben", None)).await;
    assert_eq!((second.status, &second.json["user"]["role"]), (201, &json!("member")));
}

#[tokio::test]
async fn an_operator_can_ask_how_it_is() {
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), &[], &UNHURRIED);
    let addr = program.addr().await;
    let get = async |path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{addr}{path}")).send().await.unwrap();
        let (status, kind) = (answer.status(), answer.headers()["content-type"].clone());
        (status, kind, answer.json::<Value>().await.unwrap())
    };
    for (path, status) in [("/livez", "live"), ("/readyz", "ready")] {
        let (code, _, body) = get(path).await;
        assert_eq!((code.as_u16(), &body), (200, &json!({"status": status})), "{path}");
    }
    let (code, kind, document) = get("/openapi.json").await;
    assert_eq!((code.as_u16(), kind.to_str().unwrap()), (200, "application/json"));
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert!(document["paths"]["/api/v1/signup"]["post"].is_object());
}

#[tokio::test]
async fn an_address_in_use_is_said_and_is_no_crash() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let place = tempfile::tempdir().unwrap();

    // Also where there is a history that a crash would make jump.
    let mut program = start(place.path(), &[], &UNHURRIED);
    let ann = Person::sign_up(program.addr().await, "ann").await;
    let room = ann.room("General").await;
    assert_eq!(ann.say(room, "before").await, 1);
    program.signal(Signal::TERM);
    program.ended().await.succeeded();

    let ended = run(place.path(), &["serve", "--listen", &addr], &[]).await;
    ended.failed_saying(&["cannot listen on", &addr, "in use"]);

    let mut program = start(place.path(), &[], &UNHURRIED);
    let ann = Person::sign_in(program.addr().await, "ann").await;
    assert_eq!(ann.say(room, "after").await, 2, "no jump");
}
