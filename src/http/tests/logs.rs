//! What the log says, and what it never does.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }

    fn dispatch(&self) -> Dispatch {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log)
            .finish();
        Dispatch::new(subscriber)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Runs `test` with everything logged that its threads log, those that hash and read included.
fn logging<F: Future<Output = ()>>(test: impl FnOnce(Log) -> F) {
    let log = Log::default();
    let dispatch = log.dispatch();
    let _here = tracing::dispatcher::set_default(&dispatch);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Each thread logs there until it ends.
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&dispatch)))
        .build()
        .unwrap();
    runtime.block_on(test(log));
}

/// Has the places that log meet this subscriber: a place that another thread reached first, right
/// when this one began to listen, took it that nobody does. Gives how much is logged by then.
async fn warm_up(app: &TestApp, log: &Log) -> usize {
    app.sign_up("warm").await;
    app.get("/readyz", "").await;
    tracing::callsite::rebuild_interest_cache();
    log.text().len()
}

#[test]
fn no_password_and_no_token_is_ever_logged() {
    logging(|log| async move {
        let app = TestApp::new();
        let secrets = ["Zq7 first password", "Zq7 second password", "Zq7 wrong password"];
        let [first, second, wrong] = secrets;
        let body = json!({"username": "ann", "password": first, "setupCode": "Zq7-setup"});
        let token = app.post("/api/v1/signup", "", body).await.json["token"].clone();
        let token = token.as_str().unwrap().to_owned();
        app.clock.set(NOW + 9_000);
        for password in [first, wrong, "Zq7"] {
            let body = json!({"username": "ann", "password": password});
            app.post("/api/v1/signin", "", body).await;
        }
        app.post("/api/v1/signin", "", json!({"username": ["Zq7"], "password": "Zq7"})).await;
        let body = json!({"currentPassword": first, "newPassword": second});
        assert_eq!(app.post("/api/v1/me/password", &token, body).await.status, 204);
        let newer = app.call(Method::POST, "/api/v1/refresh", &token, None).await;
        let newer = newer.json["token"].as_str().unwrap();
        for path in ["/api/v1/me", "/api/v1/rooms", "/nothing", "/livez"] {
            app.get(&format!("{path}?token={token}"), "").await;
            app.get(&format!("{path}?token={token}x"), &format!("{token}x")).await;
        }
        let body = Some(json!({"password": second}));
        assert_eq!(app.call(Method::DELETE, "/api/v1/me", newer, body).await.status, 204);
        let log = log.text();
        assert!(log.contains("an account was deleted"), "nothing was captured");
        assert!(!log.contains("Zq7"));
        for part in token.split('.').chain(newer.split('.')) {
            assert!(!log.contains(part), "{part}");
        }
        assert!(!log.contains("token="));
    });
}

#[test]
fn each_request_has_one_line_that_tells_what_became_of_it() {
    logging(|log| async move {
        let app = TestApp::new();
        let before = warm_up(&app, &log).await;
        let token = app.sign_up("ann").await;
        app.room(&token, "Den").await;
        app.get("/api/v1/rooms/den/messages?limit=1&secret=x", &token).await;
        let answer = app.get("/api/v1/nowhere?secret=x", "").await;
        app.get("/readyz", "").await;
        let text = log.text().split_off(before);
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let requests: Vec<_> =
            lines.filter(|line| line["fields"]["message"] == "request").collect();
        let told: Vec<_> = requests
            .iter()
            .map(|line| {
                let fields = &line["fields"];
                let user = fields["user"].as_u64();
                let path = fields["path"].as_str().unwrap();
                assert!(fields["ms"].is_u64() && fields["request_id"].is_string());
                (line["level"].as_str().unwrap(), path, fields["status"].as_u64().unwrap(), user)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("INFO", "/api/v1/signup", 201, None),
                ("INFO", "/api/v1/rooms", 201, Some(2)),
                ("INFO", "/api/v1/rooms/{room}/messages", 200, Some(2)),
                ("INFO", "/api/v1/nowhere", 404, None),
                ("DEBUG", "/readyz", 200, None),
            ]
        );
        assert_eq!(requests[3]["fields"]["request_id"], answer.header("x-request-id"));
        assert!(!text.contains("secret"));
    });
}

#[test]
fn what_is_logged_on_the_way_names_its_request() {
    logging(|log| async move {
        let app = TestApp::new();
        let before = warm_up(&app, &log).await;
        let body = json!({"username": "ann", "password": PASSWORD});
        let answer = app.post("/api/v1/signup", "", body).await;
        let text = log.text().split_off(before);
        let made = text.lines().find(|line| line.contains("an account was made")).unwrap();
        assert!(made.contains(answer.header("x-request-id")), "{made}");
    });
}
