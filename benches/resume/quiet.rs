//! Two people in a room of their own: how long does a message take from one to the other?

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::Failure;
use crate::client::Member;

/// Between two messages.
const PAUSE: Duration = Duration::from_millis(10);

/// Two people, and the number of what they say first.
pub struct Quiet {
    pub addr: SocketAddr,
    pub tokens: [String; 2],
    pub room: u64,
    pub first: usize,
}

impl Quiet {
    /// Talks on a thread of its own, so that what it waits for are not the other clients, until
    /// `stop` is gone; gives the delays, rising. Each message is heard before the next.
    pub fn talk(self, stop: watch::Receiver<()>) -> JoinHandle<Result<Vec<Duration>, Failure>> {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.talk_here(stop))
        })
    }

    async fn talk_here(self, mut stop: watch::Receiver<()>) -> Result<Vec<Duration>, Failure> {
        let Self { addr, tokens, room, first } = self;
        let mut speaker = Member::enter(addr, &tokens[0], room).await?;
        let mut listener = Member::enter(addr, &tokens[1], room).await?;
        let mut delays = Vec::new();
        for number in first.. {
            let began = Instant::now();
            speaker.say(room, number).await?;
            listener.wait_for("chat").await?;
            delays.push(began.elapsed());
            if tokio::time::timeout(PAUSE, stop.changed()).await.is_ok() {
                break;
            }
        }
        delays.sort_unstable();
        Ok(delays)
    }
}
