//! The clients' subscriptions: each is the log between its cursors.

use std::sync::Arc;

use parlor::domain::{ChatEvent, Delivery, MessageId, Seq};
use parlor::hub::{Member, Step, Subscription};

use crate::World;
use crate::client::{self, Wire};
use crate::life::user;

impl World {
    /// What a member may have heard.
    fn audible(&self) -> usize {
        match self.delivery {
            Delivery::Immediate => self.model.len(),
            Delivery::Committed => self.model.told,
        }
    }

    pub fn join(&mut self, number: usize, after: Option<Seq>, in_place: bool) {
        let room = self.life().room();
        let Some(room) = self.excused(room) else { return };
        let before = self.clients[number].subscription.take().filter(|_| in_place);
        let (cut, subscription) = match (before, after) {
            (Some(mut before), Some(after)) => {
                let cut = room.cut(before.connection()).expect("it is open");
                let told = (cut.head, cut.first, cut.count);
                before.restart(cut, after, || {});
                (told, before)
            }
            _ => {
                self.connections += 1;
                let connection = Wire::default().connection(self.connections);
                let (member, hears) = (user(3), Arc::clone(&connection));
                let (cut, _) = room
                    .join(Member { connection, user: member, present_as: None })
                    .expect("it is open");
                let told = (cut.head, cut.first, cut.count);
                (told, Subscription::new(room, hears, member, cut, after))
            }
        };
        let count = self.audible();
        let stands = (self.model.seq(count), self.model.seq(count.min(1)), count as u64);
        assert_eq!(cut, stands, "what `joined` says");
        self.clients[number].joined(subscription, after, cut.0);
    }

    /// Some steps of a client's subscription. `true`: it has nothing more to say now.
    pub fn pump(&mut self, number: usize, steps: usize) -> bool {
        let Some(mut subscription) = self.clients[number].subscription.take() else { return true };
        for _ in 0..steps {
            match subscription.step() {
                Step::Send(frames) => self.hear(number, &frames),
                Step::CaughtUp => {}
                Step::ReadLog { after, upto } => {
                    let next = self.model.next(self.clients[number].cursor);
                    assert!(next.is_none_or(|next| next.stamp.seq > after), "{next:?} left out");
                    let log = &self.life().hub.log;
                    let part = log.part_now(subscription.room(), after, upto);
                    let Some(part) = self.excused(part) else { break };
                    let frames = subscription.page(part);
                    self.hear(number, &frames);
                    let next = self.model.next(self.clients[number].cursor);
                    let position = subscription.at(|position| position.seq);
                    assert!(next.is_none_or(|next| next.stamp.seq > position), "{next:?} left out");
                    self.clients[number].cursor = position;
                }
                Step::Idle => {
                    let live = subscription.is_live();
                    let due = if live { self.audible() } else { self.model.told };
                    let next = self.model.next(self.clients[number].cursor);
                    let missed = next.filter(|next| next.stamp.seq <= self.model.seq(due));
                    assert_eq!(missed, None, "idle (live: {live}), and this is there to be heard");
                    self.clients[number].subscription = Some(subscription);
                    return true;
                }
                Step::Gone(gone) => panic!("{gone:?}"),
            }
            let told = subscription.at(|position| position.seq);
            assert_eq!(told, self.clients[number].cursor);
        }
        self.clients[number].subscription = Some(subscription);
        false
    }

    /// Each frame is the next event.
    fn hear(&mut self, number: usize, frames: &[u8]) {
        for chat in client::parse(frames) {
            let client = &mut self.clients[number];
            let next = self.model.next(client.cursor).expect("something was published");
            let ChatEvent { stamp, user_id, id, body } = next;
            let number = |name: &str| chat[name].as_u64();
            assert_eq!((number("seq"), number("at")), (Some(stamp.seq), Some(stamp.at)));
            assert_eq!((number("prev"), number("userId")), (stamp.prev, Some(user_id.get())));
            assert_eq!(chat["id"].as_str(), id.as_ref().map(MessageId::as_str));
            assert_eq!(chat["message"], body.as_str());
            client.heard(stamp.seq, stamp.prev, body.as_str().to_owned());
            let count = usize::try_from(stamp.count).expect("a small log");
            assert!(count <= self.audible(), "heard before it is committed");
        }
    }
}
