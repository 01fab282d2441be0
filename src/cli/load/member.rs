//! One connection: it enters its room and hears what is said there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::Stream;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::frame::{Frame, HelloLimits, join};
use super::hearing::{Heard, Hearing};
use super::hold::{Asked, Hold, error_code};
use super::run::Run;
use super::sender::Speaker;
use super::target::Target;

/// From the first packet to being a member.
const ENTER_TIMEOUT: Duration = Duration::from_secs(30);
/// For the goodbye, which nothing depends on.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// What one read takes; each connection holds one, so not more than a busy room needs.
const READ_BYTES: usize = 16 * 1024;
const WRITE_BYTES: usize = 16 * 1024;

type Socket = WebSocketStream<TcpStream>;

/// Who is to sit where.
#[derive(Debug)]
pub struct Place {
    pub target: Arc<Target>,
    pub token: String,
    pub room_id: u64,
    /// Counted from 0.
    pub room: usize,
    /// Counted from 0, if it talks.
    pub sender: Option<u32>,
}

/// Why a connection is over before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Closed(u16),
    Refused { code: String, words: String },
    Failed(String),
}

impl End {
    /// The bound of the server that it tells of.
    pub fn hold(&self) -> Option<Hold> {
        match self {
            Self::Closed(code) => Some(Hold::of_close(*code)),
            Self::Refused { code, .. } => Hold::of_error(error_code(code)?, Asked::Socket),
            Self::Failed(_) => None,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(code) => write!(f, "closed by the server with {code}")?,
            Self::Refused { code, words } => write!(f, "{code}: {words}")?,
            Self::Failed(reason) => f.write_str(reason)?,
        }
        self.hold().map_or(Ok(()), |hold| write!(f, " ({})", hold.name()))
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a connection comes to.
#[derive(Debug)]
pub struct Ended {
    pub heard: Heard,
    /// `None`: the run was over.
    pub early: Option<End>,
}

/// What a member passes when it enters: it tells that it is in, and makes way for the next.
pub type Doorway = (mpsc::Sender<HelloLimits>, Option<OwnedSemaphorePermit>);

/// A member from its first packet to its last.
pub async fn attend(run: Arc<Run>, place: Place, doorway: Doorway) -> Ended {
    let mut hearing = Hearing::new(&run.tally, place.room);
    let entering = tokio::time::timeout(ENTER_TIMEOUT, enter(&place));
    let early = match entering.await {
        Ok(Ok((socket, limits))) => {
            // The run does not listen any more when it was stopped.
            let _ = doorway.0.send(limits).await;
            drop(doorway);
            stay(&run, &place, socket, limits, &mut hearing).await
        }
        Ok(Err(end)) => Some(end),
        Err(_) => {
            let seconds = ENTER_TIMEOUT.as_secs();
            Some(End::Failed(format!(
                "not in the room within {seconds} s of connecting: the server is too busy, or \
                 accepts no more (limits.connections, or files that it may open)"
            )))
        }
    };
    Ended { heard: hearing.heard(), early }
}

async fn enter(place: &Place) -> Result<(Socket, HelloLimits), End> {
    let mut socket = connect(&place.target, &place.token).await?;
    let hello = await_frame(&mut socket, "hello").await?;
    let limits = hello.ok_or_else(|| End::Failed("a hello without limits".to_owned()))?;
    socket.send(Message::text(join(place.room_id))).await?;
    await_frame(&mut socket, "joined").await?;
    Ok((socket, limits))
}

async fn connect(target: &Target, token: &str) -> Result<Socket, End> {
    let failed = |error: std::io::Error| End::Failed(format!("no connection: {error}"));
    let tcp = TcpStream::connect(target.addr).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    let mut request = format!("ws://{}/ws", target.host).into_client_request()?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
    let bearer = bearer.map_err(|_| End::Failed("the token is not one".to_owned()))?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_write_buffer_size(usize::MAX);
    let shaken = tokio_tungstenite::client_async_with_config(request, tcp, Some(config)).await;
    Ok(shaken?.0)
}

/// Reads up to a frame of this type; gives the limits that it tells, which only `hello` does.
async fn await_frame(socket: &mut Socket, kind: &str) -> Result<Option<HelloLimits>, End> {
    loop {
        let text = next_text(socket).await?;
        let frame = read(&text)?;
        match frame.kind() {
            found if found == kind => return Ok(frame.limits),
            "error" => {
                let (code, words) = frame.error();
                return Err(End::Refused { code: code.to_owned(), words: words.to_owned() });
            }
            _ => {}
        }
    }
}

async fn next_text(
    socket: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
) -> Result<tokio_tungstenite::tungstenite::Utf8Bytes, End> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(close))) => {
                return Err(End::Closed(close.map_or(1005, |close| close.code.into())));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(End::Failed("the connection ended".to_owned())),
        }
    }
}

fn read(text: &str) -> Result<Frame<'_>, End> {
    serde_json::from_str(text).map_err(|error| End::Failed(format!("not a frame: {error}: {text}")))
}

/// Hears, and talks if it is a sender, until the run is over or the connection is.
async fn stay(
    run: &Arc<Run>,
    place: &Place,
    socket: Socket,
    limits: HelloLimits,
    hearing: &mut Hearing,
) -> Option<End> {
    let Some(sender) = place.sender else {
        let mut socket = socket;
        let ended = run.end.run_until_cancelled(listen(run, &mut socket, hearing, None)).await;
        if ended.is_none() {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, socket.close(None)).await;
        }
        return ended;
    };
    let speaker = Speaker::new(Arc::clone(run), place.room_id, sender, limits.unacknowledged);
    let (mut sink, mut stream) = socket.split();
    let both = async {
        tokio::select! {
            end = listen(run, &mut stream, hearing, Some(&speaker)) => end,
            error = speaker.talk(&mut sink) => error.into(),
        }
    };
    let ended = run.end.run_until_cancelled(both).await;
    if ended.is_none() {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, sink.close()).await;
    }
    ended
}

async fn listen(
    run: &Run,
    socket: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    hearing: &mut Hearing,
    speaker: Option<&Speaker>,
) -> End {
    loop {
        let text = match next_text(socket).await {
            Ok(text) => text,
            Err(end) => return end,
        };
        let frame = match read(&text) {
            Ok(frame) => frame,
            Err(end) => return end,
        };
        match (frame.kind(), speaker) {
            ("chat", _) => {
                let Some(name) = frame.said(&run.tally.tag) else { continue };
                hearing.hear(&run.tally, name, frame.seq, run.now());
                if let Some(speaker) = speaker {
                    speaker.hears(name);
                }
            }
            ("ack", Some(speaker)) => speaker.acked(&frame),
            ("error", Some(speaker)) => speaker.refused(&frame),
            ("error", None) => run.fault(format!("{}: {}", frame.error().0, frame.error().1)),
            ("left", _) => run.fault("left: the room was deleted by somebody".to_owned()),
            _ => {}
        }
    }
}
