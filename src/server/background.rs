//! What goes on from time to time, for as long as the server lives.

use std::sync::Arc;

use crate::app::App;
use crate::domain::limits::{EVICTION_INTERVAL, PRESENCE_GATHER, PRESENCE_TURN, WATCH_GATHER};
use crate::hub::Hub;
use crate::ws::Heartbeats;

/// Pings what is silent, and ends connections that are dead or no longer signed in.
pub async fn take_pulses(heartbeats: Arc<Heartbeats>) {
    let mut look_at = 0;
    loop {
        let pause = heartbeats.step(&mut look_at).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = heartbeats.rung() => {}
        }
    }
}

pub(super) async fn tell_presence(hub: Arc<Hub>) {
    loop {
        hub.restless().await;
        tokio::time::sleep(PRESENCE_GATHER).await;
        for rooms in hub.take_restless().chunks(PRESENCE_TURN) {
            for room in rooms {
                room.tell_presence();
            }
            tokio::task::yield_now().await;
        }
    }
}

pub(super) async fn tell_watchers(hub: Arc<Hub>) {
    loop {
        hub.watchers.restless().await;
        tokio::time::sleep(WATCH_GATHER).await;
        hub.tell_watchers().await;
    }
}

pub(super) async fn keep_house(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVICTION_INTERVAL).await;
        app.hub.evict_idle();
        app.tidy_rates();
    }
}
