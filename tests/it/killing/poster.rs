//! A client without a socket: it posts with ids, and again whenever it is not sure.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::dice::Dice;
use super::shared::{Report, Shared, Stage};
use crate::support::{Api, Person, within};

/// Out of so many posts one is sent twice at once, and one is given up on the way.
const TWICE: u64 = 4;
const IMPATIENCE: u64 = 4;
const IMPATIENCE_US: u64 = 3_000;

pub struct Poster {
    rooms: Vec<u64>,
    token: String,
    dice: Dice,
    shared: Arc<Shared>,
    report: Report,
}

impl Poster {
    pub fn new(rooms: &[u64], person: &Person, dice: Dice, shared: Arc<Shared>) -> Self {
        let report = Report { name: person.username.clone(), ..Report::default() };
        let (rooms, token) = (rooms.to_vec(), person.token.clone());
        Self { rooms, token, dice, shared, report }
    }

    pub async fn run(mut self, mut stages: watch::Receiver<Stage>) -> Report {
        for number in 1_u64.. {
            if !stages.borrow_and_update().is_talk() {
                break;
            }
            self.shared.said.rise();
            let room = self.rooms[usize::try_from(number).expect("few") % self.rooms.len()];
            let id = format!("{}-{number:06}", self.report.name);
            self.post(&mut stages, room, &id).await;
        }
        self.shared.settled.rise();
        self.report
    }

    /// Posts until an answer says that it is stored.
    async fn post(&mut self, stages: &mut watch::Receiver<Stage>, room: u64, id: &str) {
        loop {
            let addr = stages.borrow_and_update().addr();
            let api = Api::new(addr).with_token(&self.token);
            let post = || post(&api, room, id);
            let answers = if self.dice.below(IMPATIENCE) == 0 {
                let patience = Duration::from_micros(self.dice.below(IMPATIENCE_US));
                let _ = tokio::time::timeout(patience, post()).await;
                vec![post().await]
            } else if self.dice.below(TWICE) == 0 {
                let (one, other) = tokio::join!(post(), post());
                let new = [one, other].iter().flatten().filter(|(_, new)| *new).count();
                assert!(new <= 1, "stored twice: {id}");
                vec![one, other]
            } else {
                vec![post().await]
            };
            for (seq, _) in answers.iter().flatten() {
                self.report.ack(&self.shared, id, room, *seq);
            }
            if answers.iter().any(Option::is_some) {
                return;
            }
            self.shared.repeated.rise();
            if stages.borrow().addr() == addr {
                within("the server's return", stages.changed()).await.expect("a test");
            }
        }
    }
}

/// The seq, and whether it was new; `None`: the server is gone.
async fn post(api: &Api, room: u64, id: &str) -> Option<(u64, bool)> {
    let request = api.request("POST", &format!("/rooms/{room}/messages"));
    let answer = request.json(&json!({"message": id, "id": id})).send().await.ok()?;
    let new = match answer.status().as_u16() {
        201 => true,
        200 => false,
        status => panic!("{status}: {:?}", answer.text().await),
    };
    let answer: serde_json::Value = answer.json().await.ok()?;
    assert_eq!(answer["duplicate"] == true, !new, "{answer}");
    Some((answer["seq"].as_u64().expect("a seq"), new))
}
