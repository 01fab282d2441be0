//! One message at a time.

use std::path::Path;
use std::time::{Duration, Instant};

use super::disk::{fdatasyncs, percentile};
use super::house::House;
use super::load::Ids;
use super::{Failure, ROOMS};

/// Turns taken, each of so many syncs and as many messages.
const TURNS: u64 = 10;
const EACH: usize = 50;

#[derive(Debug)]
pub struct Outcome {
    pub ack_p50: Duration,
    pub ack_p99: Duration,
    pub sync_p50: Duration,
}

pub async fn measure(house: &House, directory: &Path) -> Result<Outcome, Failure> {
    let (mut acks, mut syncs) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        syncs.extend(fdatasyncs(directory, EACH)?);
        let mut ids = Ids::Rising.generator();
        let caller = house.caller(0);
        for _ in 0..EACH {
            let id = ids.next_id();
            let began = Instant::now();
            house.post(&caller, 1 + turn % ROOMS, id).await?;
            house.acknowledged(&caller).await;
            acks.push(began.elapsed());
        }
    }
    Ok(Outcome {
        ack_p50: percentile(&mut acks, 50),
        ack_p99: percentile(&mut acks, 99),
        sync_p50: percentile(&mut syncs, 50),
    })
}
