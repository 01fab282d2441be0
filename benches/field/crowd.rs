//! The members of one room: non-blocking sockets that one thread reads.

use std::io::{self, IoSliceMut, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;

use super::dialect::Dialect;
use super::wire::{self, Finder, Frame};
use crate::Failure;

/// Read at once: more than the senders' windows together.
const READ_BYTES: usize = 64 * 1024;
/// Sockets served between two looks at what the senders may say.
const EVENTS: usize = 128;
/// For the answer to a handshake and to an entry.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message that a member heard.
pub struct Heard {
    pub member: usize,
    pub sender: usize,
    pub number: u32,
    /// If the server gives any.
    pub seq: Option<u64>,
    /// When the kernel had it, in nanoseconds since the Unix epoch, if that is asked for.
    pub arrived: Option<u64>,
}

struct Member {
    socket: TcpStream,
    /// Bytes of a frame whose end has not come yet.
    partial: Vec<u8>,
}

pub struct Crowd {
    members: Vec<Member>,
    epoll: Epoll,
    events: Vec<EpollEvent>,
    buffer: Vec<u8>,
    finder: Finder,
    seqs: bool,
    stamped: bool,
    /// Reads that brought something.
    pub reads: u64,
    /// What the server refused, in its own words.
    pub refused: Option<String>,
}

impl Crowd {
    /// Connects so many members and has them enter. `stamped`: with the kernel's time of arrival.
    pub fn enter(
        addr: SocketAddr,
        dialect: &Dialect,
        members: usize,
        stamped: bool,
    ) -> Result<Self, Failure> {
        let mut crowd = Self {
            members: Vec::with_capacity(members),
            epoll: Epoll::new(EpollCreateFlags::empty())?,
            events: vec![EpollEvent::empty(); EVENTS],
            buffer: vec![0; READ_BYTES],
            finder: Finder::default(),
            seqs: dialect.seqs,
            stamped,
            reads: 0,
            refused: None,
        };
        for number in 0..members {
            let member = Member::enter(addr, dialect, number)?;
            member.socket.set_nonblocking(true)?;
            setsockopt(&member.socket, ReceiveTimestampns, &stamped)?;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::try_from(number)?);
            crowd.epoll.add(&member.socket, event)?;
            crowd.members.push(member);
        }
        Ok(crowd)
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Writes frames from this member, which has little on its way: the kernel takes them whole.
    pub fn write(&mut self, member: usize, frames: &[u8]) -> Result<(), Failure> {
        Ok(self.members[member].socket.write_all(frames)?)
    }

    /// Reads what has come to some members; `false` if there was nothing for anybody.
    pub fn poll(&mut self, mut hear: impl FnMut(Heard)) -> Result<bool, Failure> {
        let mut finder = mem::take(&mut self.finder);
        let mut refused = self.refused.take();
        let seqs = self.seqs;
        let any = self.poll_texts(|member, payload, arrived| match finder.mark(payload) {
            Some((sender, number)) => {
                let seq = if seqs { wire::seq(payload) } else { None };
                hear(Heard { member, sender, number, seq, arrived });
            }
            None if payload.starts_with(b"{\"type\":\"error\"") => {
                refused.get_or_insert_with(|| String::from_utf8_lossy(payload).into_owned());
            }
            None => {}
        });
        (self.finder, self.refused) = (finder, refused);
        any
    }

    /// The same with the member, the payload of each text frame, and when the kernel had it.
    pub fn poll_texts(
        &mut self,
        mut hear: impl FnMut(usize, &[u8], Option<u64>),
    ) -> Result<bool, Failure> {
        let ready = match self.epoll.wait(&mut self.events, EpollTimeout::ZERO) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for at in 0..ready {
            self.read(usize::try_from(self.events[at].data())?, &mut hear)?;
        }
        Ok(ready > 0)
    }

    fn read(
        &mut self,
        number: usize,
        hear: &mut impl FnMut(usize, &[u8], Option<u64>),
    ) -> Result<(), Failure> {
        let member = &mut self.members[number];
        let kept = member.partial.len();
        self.buffer[..kept].copy_from_slice(&member.partial);
        let (read, arrived) = if self.stamped {
            read_stamped(&member.socket, &mut self.buffer[kept..])?
        } else {
            (none_if_blocked(member.socket.read(&mut self.buffer[kept..]))?, None)
        };
        self.reads += u64::from(read > 0);
        let bytes = &self.buffer[..kept + read];
        let (mut pinged, mut closed) = (false, None);
        let used = wire::walk(bytes, |frame| match frame {
            Frame::Text(payload) => hear(number, payload, arrived),
            Frame::Ping => pinged = true,
            Frame::Close(reason) => closed = Some(String::from_utf8_lossy(reason).into_owned()),
        })?;
        if let Some(reason) = closed {
            return Err(format!("the server closed member {number}: {reason}").into());
        }
        member.partial.clear();
        member.partial.extend_from_slice(&bytes[used..]);
        if pinged {
            member.socket.write_all(&wire::pong())?;
        }
        Ok(())
    }
}

impl Member {
    fn enter(addr: SocketAddr, dialect: &Dialect, number: usize) -> Result<Self, Failure> {
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut member = Self { socket, partial: Vec::new() };
        let path = &dialect.paths[number % dialect.paths.len()];
        // The one key that the floor answers.
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        member.socket.write_all(request.as_bytes())?;
        let end = member.wait_for(b"\r\n\r\n")?;
        if !member.partial.starts_with(b"HTTP/1.1 101") {
            return Err(String::from_utf8_lossy(&member.partial).into());
        }
        member.partial.drain(..end);
        if let Some(entry) = &dialect.entry {
            let mut frame = Vec::new();
            wire::say(&mut frame, entry.as_bytes());
            member.socket.write_all(&frame)?;
            member.wait_for(b"\"type\":\"joined\"")?;
        }
        Ok(member)
    }

    /// Reads until these bytes have come; gives where they end.
    fn wait_for(&mut self, what: &[u8]) -> Result<usize, Failure> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = self.partial.windows(what.len()).position(|found| found == what) {
                return Ok(at + what.len());
            }
            match self.socket.read(&mut buffer)? {
                0 => return Err("the server closed a connection that was entering".into()),
                read => self.partial.extend_from_slice(&buffer[..read]),
            }
        }
    }
}

/// Also the time at which the kernel had the last of it.
fn read_stamped(socket: &TcpStream, buffer: &mut [u8]) -> Result<(usize, Option<u64>), Failure> {
    let mut control = cmsg_space!(TimeSpec);
    let mut slices = [IoSliceMut::new(buffer)];
    let received =
        recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty());
    let message = match received {
        Ok(message) => message,
        Err(Errno::EAGAIN) => return Ok((0, None)),
        Err(error) => return Err(error.into()),
    };
    let stamp = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => {
            Duration::from(time).as_nanos().try_into().ok()
        }
        _ => None,
    });
    match message.bytes {
        0 => Err(ended()),
        read => Ok((read, stamp)),
    }
}

fn none_if_blocked(read: io::Result<usize>) -> Result<usize, Failure> {
    match read {
        Ok(0) => Err(ended()),
        Ok(read) => Ok(read),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn ended() -> Failure {
    "the server ended a connection".into()
}
