//! One member that stops reading for a while.

use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};

use crate::client::Member;
use crate::crowd::beside;
use crate::tally::{Report, Tally};
use crate::{Failure, Stage};

/// What this machine may keep for it unread.
const RECEIVE_BUFFER: u32 = 64 * 1024;

/// `count` messages are said, and for `time` at least it reads none of them.
pub async fn measure(stage: &Stage, count: u64, time: Duration) -> Result<Tally, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let socket: TcpStream = socket.connect(stage.addr()).await?;
    let mut member = Member::over(socket, &stage.tokens[2]).await?;
    member.join(stage.room).await?;
    let mut tally = Tally::default();
    let before = stage.server.usage()?;
    let began = Instant::now();
    let (delays, _) = beside(stage, 0, async {
        stage.say_all(count).await?;
        let left = time.saturating_sub(began.elapsed());
        eprintln!("resume: nothing is read for another {} s", left.as_secs());
        tokio::time::sleep(left).await;
        Ok(time)
    })
    .await?;
    tally.quiet_beside = delays;
    tally.resident_stalled = stage.server.usage()?.resident;
    let began = Instant::now();
    let mut report = Report::new(0, count);
    report.listen(&mut member).await?;
    tally.add(&report);
    tally.conclude(began.elapsed(), &before, &stage.server.usage()?);
    Ok(tally)
}
