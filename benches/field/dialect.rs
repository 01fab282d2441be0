//! What members say to a server, and what they hear from it.

use super::wire;

/// As data, so that one generator speaks to all servers.
pub struct Dialect {
    /// Of the handshake; the members take them in turns.
    pub paths: Vec<String>,
    /// The frame by which a member enters, if it takes one. Its answer is `joined`.
    pub entry: Option<String>,
    /// What stands around a message's text in what a sender says.
    pub around: [String; 2],
    /// Whether messages carry rising seqs.
    pub seqs: bool,
}

impl Dialect {
    /// Appends the frame in which a sender says its message with this number.
    pub fn say(&self, out: &mut Vec<u8>, sender: usize, number: u32) {
        let [before, after] = &self.around;
        wire::say(out, format!("{before}{}{after}", wire::text(sender, number)).as_bytes());
    }
}
