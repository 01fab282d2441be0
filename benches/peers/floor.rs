//! The floor: one epoll loop that sends every frame to every socket, and nothing else. Frames that
//! came in one round leave in one `write` a socket.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// To the one key that the load generator uses.
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A socket blocks: it is read only when it has something, and a write waits for who is slow.
struct Member {
    socket: TcpStream,
    upgraded: bool,
    /// Bytes of a frame whose end has not come yet.
    partial: Vec<u8>,
}

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listens on {}", listener.local_addr()?);
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let watch = |fd: i32| EpollEvent::new(EpollFlags::EPOLLIN, u64::from(fd.cast_unsigned()));
    let listening = watch(listener.as_raw_fd());
    epoll.add(&listener, listening)?;
    let mut members: HashMap<u64, Member> = HashMap::new();
    let mut events = vec![EpollEvent::empty(); 1024];
    let (mut buffer, mut batch) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == listening.data() {
                let (socket, _) = listener.accept()?;
                socket.set_nodelay(true)?;
                let watch = watch(socket.as_raw_fd());
                epoll.add(&socket, watch)?;
                let member = Member { socket, upgraded: false, partial: Vec::new() };
                members.insert(watch.data(), member);
            } else if let Some(member) = members.get_mut(&event.data())
                && !member.receive(&mut buffer, &mut batch)
            {
                members.remove(&event.data());
            }
        }
        if !batch.is_empty() {
            members.retain(|_, member| !member.upgraded || member.socket.write_all(&batch).is_ok());
            batch.clear();
        }
    }
}

impl Member {
    /// Adds the frames that have come to the batch; `false` when the connection has ended.
    fn receive(&mut self, buffer: &mut [u8], batch: &mut Vec<u8>) -> bool {
        let Ok(read @ 1..) = self.socket.read(buffer) else { return false };
        self.partial.extend_from_slice(&buffer[..read]);
        if !self.upgraded {
            // A client says nothing more before it has the answer.
            self.upgraded = self.partial.ends_with(b"\r\n\r\n");
            if self.upgraded {
                self.partial.clear();
            }
            return !self.upgraded || self.socket.write_all(UPGRADED).is_ok();
        }
        let mut used = 0;
        while let Some(length) = turn_round(&self.partial[used..], batch) {
            used += length;
        }
        self.partial.drain(..used);
        true
    }
}

/// Writes the client's frame at the beginning of `bytes` to the batch as the server's; gives its
/// length, `None` if it is not there whole.
fn turn_round(bytes: &[u8], batch: &mut Vec<u8>) -> Option<usize> {
    let (first, second) = (*bytes.first()?, bytes.get(1)? & 0x7F);
    let (length, header) = match second {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        length => (usize::from(length), 2),
    };
    let mask: [u8; 4] = bytes.get(header..header + 4)?.try_into().ok()?;
    let payload = bytes.get(header + 4..header + 4 + length)?;
    batch.push(first);
    batch.push(second);
    batch.extend_from_slice(&bytes[2..header]);
    batch.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Some(header + 4 + length)
}
