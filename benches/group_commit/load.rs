//! As many messages as the server takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parlor::domain::MessageId;
use tokio::task::JoinSet;

use super::Failure;
use super::house::House;

/// Connections that send; each may have a window of messages unacknowledged.
const CONNECTIONS: u64 = 64;

/// How the senders name their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    None,
    /// A prefix of the connection's own and a counter.
    Rising,
    Random,
}

impl Ids {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rising => "rising",
            Self::Random => "random",
        }
    }

    /// Ids that no other generator of this process gives.
    pub fn generator(self) -> Generator {
        static GENERATORS: AtomicU64 = AtomicU64::new(1);
        let prefix = splitmix(GENERATORS.fetch_add(1, Ordering::Relaxed));
        Generator { ids: self, prefix, count: 0 }
    }
}

#[derive(Debug)]
pub struct Generator {
    ids: Ids,
    prefix: u64,
    count: u64,
}

impl Generator {
    pub fn next_id(&mut self) -> Option<MessageId> {
        self.count += 1;
        let id = match self.ids {
            Ids::None => return None,
            Ids::Rising => format!("{:016x}{:08}", self.prefix, self.count),
            Ids::Random => {
                format!("{:016x}{:08x}", splitmix(self.prefix ^ self.count), self.count)
            }
        };
        MessageId::parse(&id).ok()
    }
}

fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub rooms: u64,
    pub ids: Ids,
    pub time: Duration,
}

#[derive(Debug)]
pub struct Outcome {
    pub acked: u64,
    commits: u64,
    elapsed: Duration,
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    pub fn acks_per_second(&self) -> f64 {
        self.acked as f64 / self.elapsed.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    pub fn messages_per_commit(&self) -> f64 {
        self.acked as f64 / self.commits.max(1) as f64
    }
}

impl Load {
    pub async fn run(self, house: &Arc<House>) -> Result<Outcome, Failure> {
        house.load_rooms(self.rooms).await?;
        let before = house.commits.load(Ordering::Relaxed);
        let began = Instant::now();
        let mut senders = JoinSet::new();
        for number in 0..CONNECTIONS {
            senders.spawn(self.send(Arc::clone(house), number, began));
        }
        let mut acked = 0;
        while let Some(sent) = senders.join_next().await {
            acked += sent??;
        }
        let commits = house.commits.load(Ordering::Relaxed) - before;
        Ok(Outcome { acked, commits, elapsed: began.elapsed() })
    }

    /// One connection, until its last message is acknowledged.
    async fn send(self, house: Arc<House>, number: u64, began: Instant) -> Result<u64, Failure> {
        let caller = house.caller(number);
        let mut ids = self.ids.generator();
        let mut sent = 0;
        while began.elapsed() < self.time {
            house.window(&caller).await;
            let room = 1 + splitmix(number << 32 | sent) % self.rooms;
            house.post(&caller, room, ids.next_id()).await?;
            sent += 1;
        }
        house.acknowledged(&caller).await;
        Ok(sent)
    }
}
