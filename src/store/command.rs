//! What can be asked of the writer. A command can be applied again after a commit whose outcome is
//! unknown: its answer is settled anew each time and leaves only after a commit has returned.

use tokio::sync::oneshot;

use crate::domain::{
    ChatEvent, Delivery, DisplayName, Millis, Room, RoomId, RoomName, SessionId, Slug, User,
    UserId, Username,
};

/// One write.
#[derive(Debug)]
pub enum Command {
    Event(NewEvent),
    SignUp(SignUp),
    StartSession(StartSession),
    /// A refreshed token: the session lasts until the new one ends. `false`: it is gone.
    ExtendSession {
        user: UserId,
        session: SessionId,
        expires_at: Millis,
        reply: Reply<bool>,
    },
    EndSession {
        user: UserId,
        session: SessionId,
        reply: Reply<()>,
    },
    ChangePassword(ChangePassword),
    DeleteUser(DeleteUser),
    CreateRoom(CreateRoom),
    DeleteRoom(DeleteRoom),
}

/// A published event. Nothing can refuse it any more: it has its seq.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub room: RoomId,
    pub event: ChatEvent,
}

/// A new account and its first session.
#[derive(Debug)]
pub struct SignUp {
    pub username: Username,
    pub display_name: DisplayName,
    pub password_hash: String,
    /// Whether this sign-up may make the first account, the admin.
    pub may_be_first: bool,
    pub session: SessionId,
    pub created_at: Millis,
    pub expires_at: Millis,
    pub reply: Reply<Result<User, SignUpRefused>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUpRefused {
    UsernameTaken,
    /// There is no account yet, and this request may not make the first.
    NotFirst,
}

/// A sign-in. The answer: the sessions that ended to keep to the bound; `None`: there is no such
/// account, or its password is no longer the one that was verified.
#[derive(Debug)]
pub struct StartSession {
    pub user: UserId,
    /// What the password was verified against.
    pub password_hash: String,
    pub session: SessionId,
    pub created_at: Millis,
    pub expires_at: Millis,
    pub reply: Reply<Option<Vec<SessionId>>>,
}

/// Sets the password and ends every other session. The answer: whether the account is there.
#[derive(Debug)]
pub struct ChangePassword {
    pub user: UserId,
    pub password_hash: String,
    pub keep: SessionId,
    pub reply: Reply<bool>,
}

/// Disables the account, frees its name, forgets what it said of the person, ends its sessions.
#[derive(Debug)]
pub struct DeleteUser {
    pub user: UserId,
    pub reply: Reply<bool>,
}

#[derive(Debug)]
pub struct CreateRoom {
    pub name: RoomName,
    /// Tried in order. A slug that was asked for stands alone; one made from a name has others
    /// behind it.
    pub slugs: Vec<Slug>,
    pub created_by: UserId,
    pub created_at: Millis,
    pub delivery: Delivery,
    pub reply: Reply<Result<Room, SlugTaken>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlugTaken;

/// Removes the room at once and its events bit by bit.
#[derive(Debug)]
pub struct DeleteRoom {
    pub room: RoomId,
    pub reply: Reply<()>,
}

/// The way back to whoever asked: settled while the batch is applied, sent once it is committed.
#[derive(Debug)]
pub struct Reply<T> {
    sender: oneshot::Sender<T>,
    outcome: Option<T>,
}

impl<T> Reply<T> {
    #[must_use]
    pub fn channel() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender, outcome: None }, receiver)
    }

    pub(super) fn settle(&mut self, outcome: T) {
        self.outcome = Some(outcome);
    }

    fn send(self) {
        if let Some(outcome) = self.outcome {
            // Whoever asked may have gone; the write stands all the same.
            let _ = self.sender.send(outcome);
        }
    }
}

impl Command {
    pub(super) fn is_message(&self) -> bool {
        matches!(self, Self::Event(_))
    }

    /// The bytes that count towards the queue's bound; only messages are many.
    pub(super) fn queued_bytes(&self) -> usize {
        match self {
            Self::Event(new) => {
                new.event.body.as_str().len()
                    + new.event.id.as_ref().map_or(0, |id| id.as_str().len())
                    + size_of::<Self>()
            }
            _ => 0,
        }
    }

    /// Tells whoever asked what came of it.
    pub(super) fn send_reply(self) {
        match self {
            Self::Event(_) => {}
            Self::SignUp(command) => command.reply.send(),
            Self::StartSession(command) => command.reply.send(),
            Self::ExtendSession { reply, .. } => reply.send(),
            Self::EndSession { reply, .. } => reply.send(),
            Self::ChangePassword(command) => command.reply.send(),
            Self::DeleteUser(command) => command.reply.send(),
            Self::CreateRoom(command) => command.reply.send(),
            Self::DeleteRoom(command) => command.reply.send(),
        }
    }
}
