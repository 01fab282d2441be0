//! Who is in a room: people, not connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::limits::PRESENCE_NAMES;
use crate::domain::{RoomId, UserId};
use crate::protocol::{Person, Presence as Frame, ServerFrame};

#[derive(Debug)]
pub(super) struct Presence {
    people: BTreeMap<UserId, Here>,
    /// Everyone who came or went since changes were last told, with their name. Also those for
    /// whom nothing changed in the end: a snapshot taken in between may say otherwise.
    touched: BTreeMap<UserId, Arc<str>>,
    /// Whether the names are told, as of the last telling.
    named: bool,
}

#[derive(Debug)]
struct Here {
    username: Arc<str>,
    connections: usize,
}

impl Default for Presence {
    fn default() -> Self {
        Self { people: BTreeMap::new(), touched: BTreeMap::new(), named: true }
    }
}

impl Presence {
    pub(super) fn enter(&mut self, user: UserId, username: &Arc<str>) {
        let here = self
            .people
            .entry(user)
            .or_insert_with(|| Here { username: Arc::clone(username), connections: 0 });
        here.connections += 1;
        if here.connections == 1 {
            self.touched.insert(user, Arc::clone(username));
        }
    }

    pub(super) fn leave(&mut self, user: UserId) {
        let Some(here) = self.people.get_mut(&user) else { return };
        here.connections -= 1;
        if here.connections == 0 {
            self.touched.insert(user, Arc::clone(&here.username));
            self.people.remove(&user);
        }
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Everyone who is here; above the bound their number alone.
    pub(super) fn snapshot(&self, room: RoomId) -> Bytes {
        let people = if self.people.len() > PRESENCE_NAMES {
            Vec::new()
        } else {
            self.people.iter().map(|(user, here)| person(*user, &here.username)).collect()
        };
        self.frame(room, true, &people, &[])
    }

    /// What changed since the last telling, if anything did.
    pub(super) fn take_changes(&mut self, room: RoomId) -> Option<Bytes> {
        let touched = std::mem::take(&mut self.touched);
        if touched.is_empty() {
            return None;
        }
        let were_named = std::mem::replace(&mut self.named, self.people.len() <= PRESENCE_NAMES);
        if !self.named {
            return Some(self.frame(room, false, &[], &[]));
        }
        // Whoever heard only numbers before has no list to change; and a long list of changes says
        // no more than the people who are left.
        if !were_named || touched.len() > PRESENCE_NAMES {
            return Some(self.snapshot(room));
        }
        let (joined, left): (Vec<_>, Vec<_>) =
            touched.iter().map(|(user, username)| person(*user, username)).partition(|person| {
                UserId::new(person.user_id).is_ok_and(|user| self.people.contains_key(&user))
            });
        Some(self.frame(room, false, &joined, &left))
    }

    fn frame(
        &self,
        room: RoomId,
        snapshot: bool,
        joined: &[Person<'_>],
        left: &[Person<'_>],
    ) -> Bytes {
        let count = self.people.len();
        let room_id = room.get();
        ServerFrame::Presence(Frame { room_id, snapshot, joined, left, count }).encode()
    }
}

fn person(user: UserId, username: &str) -> Person<'_> {
    Person { user_id: user.get(), username }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn user(id: u64) -> UserId {
        UserId::new(id).unwrap()
    }

    fn room() -> RoomId {
        RoomId::new(1).unwrap()
    }

    fn json(frame: &Bytes) -> serde_json::Value {
        let header = if frame[1] < 126 { 2 } else { 4 };
        serde_json::from_slice(&frame[header..]).unwrap()
    }

    fn enter(presence: &mut Presence, id: u64) {
        presence.enter(user(id), &Arc::from(format!("u{id}").as_str()));
    }

    #[test]
    fn a_second_connection_of_a_person_is_no_news() {
        let mut presence = Presence::default();
        enter(&mut presence, 1);
        let told = json(&presence.take_changes(room()).unwrap());
        assert_eq!(told["joined"], serde_json::json!([{"userId": 1, "username": "u1"}]));
        enter(&mut presence, 1);
        presence.leave(user(1));
        assert!(!presence.has_changes() && presence.take_changes(room()).is_none());
        presence.leave(user(1));
        let told = json(&presence.take_changes(room()).unwrap());
        assert_eq!(told["left"][0]["userId"], 1);
        assert_eq!(told["count"], 0);
    }

    #[test]
    fn a_crowd_is_a_number_until_it_has_gone() {
        let mut presence = Presence::default();
        for id in 1..=PRESENCE_NAMES as u64 + 1 {
            enter(&mut presence, id);
        }
        let told = json(&presence.take_changes(room()).unwrap());
        assert_eq!((&told["joined"], &told["count"]), (&serde_json::Value::Null, &201.into()));
        presence.leave(user(1));
        let told = json(&presence.take_changes(room()).unwrap());
        assert_eq!(told["snapshot"], true);
        assert_eq!(told["joined"].as_array().unwrap().len(), 200);
    }

    /// What a client believes: snapshots replace, changes change.
    fn apply(believed: &mut BTreeSet<u64>, told: &serde_json::Value) {
        let ids = |key: &str| -> Vec<u64> {
            let people = told[key].as_array().cloned().unwrap_or_default();
            people.iter().map(|person| person["userId"].as_u64().unwrap()).collect()
        };
        if told["snapshot"] == true {
            believed.clear();
        }
        believed.extend(ids("joined"));
        for id in ids("left") {
            believed.remove(&id);
        }
    }

    proptest! {
        /// Someone who is told a snapshot at any moment, and then every change, knows who is here.
        #[test]
        fn a_snapshot_and_the_changes_after_it_lead_to_the_truth(
            steps in proptest::collection::vec((0..4u8, 1..4u64), 1..60),
            snapshot_at in 0..60usize,
        ) {
            let mut presence = Presence::default();
            let mut connections = [0; 4];
            let mut believed: Option<BTreeSet<u64>> = None;
            for (index, (step, id)) in steps.iter().enumerate() {
                match step {
                    0 | 1 => {
                        enter(&mut presence, *id);
                        connections[usize::try_from(*id).unwrap()] += 1;
                    }
                    2 => {
                        presence.leave(user(*id));
                        let count = &mut connections[usize::try_from(*id).unwrap()];
                        *count = (*count - 1).max(0);
                    }
                    _ => {
                        if let Some(told) = presence.take_changes(room())
                            && let Some(believed) = &mut believed
                        {
                            apply(believed, &json(&told));
                        }
                    }
                }
                if index == snapshot_at {
                    let mut fresh = BTreeSet::new();
                    apply(&mut fresh, &json(&presence.snapshot(room())));
                    believed = Some(fresh);
                }
            }
            if let Some(mut believed) = believed {
                if let Some(told) = presence.take_changes(room()) {
                    apply(&mut believed, &json(&told));
                }
                let is_here = |id: &u64| connections[usize::try_from(*id).unwrap()] > 0;
                let here: BTreeSet<u64> = (1..4).filter(is_here).collect();
                prop_assert_eq!(believed, here);
            }
        }
    }
}
