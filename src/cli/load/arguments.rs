//! What the command line asks for, and the plan that follows from it.

use clap::builder::RangedI64ValueParser;
use clap::{Args, value_parser};

use super::messages::{NAME_BYTES, SENDERS_MAX};
use crate::domain::Limits;

const DEFAULT_RATE: u32 = 100;
const DEFAULT_SENDERS: u32 = 10;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The server to put under load; plain HTTP
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Connections, each a member of one room
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = above_zero())]
    pub members: u32,
    /// Rooms, over which the members are spread evenly
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = above_zero())]
    pub rooms: u32,
    /// Members that talk, spread evenly over the rooms [default: 10, or one for each room]
    #[arg(
        long,
        value_name = "S",
        value_parser = value_parser!(u32).range(1..=i64::from(SENDERS_MAX))
    )]
    pub senders: Option<u32>,
    /// Messages a second, of all senders together [default: 100]
    #[arg(long, value_name = "RATE", value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// Instead of a rate: each sender keeps W messages under way and sends the next when one is
    /// acknowledged
    #[arg(
        long,
        value_name = "W",
        conflicts_with = "rate",
        value_parser = value_parser!(u32).range(1..=100_000)
    )]
    pub window: Option<u32>,
    /// How long they talk, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = value_parser!(u32).range(1..=86_400)
    )]
    pub seconds: u32,
    /// Bytes of each message's text
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub bytes: usize,
    /// Send messages without ids: nothing is acknowledged, and a window counts the sender's own
    /// messages as they come back
    #[arg(long)]
    pub without_ids: bool,
    /// Accounts to make [default: as many as the members' connections take]
    #[arg(long, value_name = "U", value_parser = above_zero())]
    pub users: Option<u32>,
    /// Connections that the server lets one account have (its `limits.connections_per_user`)
    #[arg(
        long,
        value_name = "C",
        default_value_t = u32::try_from(Limits::default().connections_per_user).unwrap_or(u32::MAX),
        value_parser = above_zero()
    )]
    pub connections_per_user: u32,
    /// Use this account instead of making some; may be given several times
    #[arg(long = "token", value_name = "TOKEN", conflicts_with = "users")]
    pub tokens: Vec<String>,
    /// The server's process on this machine, whose CPU time and memory are then told
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

fn above_zero() -> RangedI64ValueParser<u32> {
    value_parser!(u32).range(1..)
}

/// When the next message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Messages a second, of all together.
    Rate(u32),
    /// Messages of each sender under way.
    Window(u32),
}

/// A run that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub members: u32,
    pub rooms: u32,
    pub senders: u32,
    pub pace: Pace,
    pub seconds: u32,
    pub bytes: usize,
    pub with_ids: bool,
    /// Accounts, made or given.
    pub users: u32,
}

impl Plan {
    /// All faults at once.
    pub fn new(arguments: &Arguments) -> Result<Self, Vec<String>> {
        let Arguments { members, rooms, seconds, bytes, connections_per_user, .. } = *arguments;
        let default = DEFAULT_SENDERS.max(rooms).min(members);
        let senders = arguments.senders.unwrap_or(default);
        let needed = members.div_ceil(connections_per_user);
        let given = u32::try_from(arguments.tokens.len()).unwrap_or(u32::MAX);
        let users = if given > 0 { given } else { arguments.users.unwrap_or(needed) };
        let mut faults = Vec::new();
        let mut must = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        must(
            rooms <= members,
            format!("--rooms {rooms}: each has a member, and there are {members}"),
        );
        must(
            senders <= members,
            format!("--senders {senders}: each is a member, and there are {members}"),
        );
        must(senders <= SENDERS_MAX, format!("--senders: at most {SENDERS_MAX}"));
        must(
            bytes >= NAME_BYTES,
            format!("--bytes {bytes}: a message names itself, which takes {NAME_BYTES}"),
        );
        must(
            users >= needed,
            format!(
                "{members} members need {needed} accounts with {connections_per_user} connections \
                 each, not {users}: more --users or --token, or a higher --connections-per-user if \
                 the server's limits.connections_per_user is"
            ),
        );
        must(users <= members, format!("--users {users}: more than the {members} members"));
        if !faults.is_empty() {
            return Err(faults);
        }
        let pace = match arguments.window {
            Some(window) => Pace::Window(window),
            None => Pace::Rate(arguments.rate.unwrap_or(DEFAULT_RATE)),
        };
        let with_ids = !arguments.without_ids;
        Ok(Self { members, rooms, senders, pace, seconds, bytes, with_ids, users })
    }

    /// The room of a member; all are counted from 0.
    pub fn room(&self, member: u32) -> usize {
        (member % self.rooms) as usize
    }

    /// The account of a member.
    pub fn user(&self, member: u32) -> usize {
        (member % self.users) as usize
    }

    /// Which sender a member is: the first ones are, so that rooms and accounts have equally many.
    pub fn sender(&self, member: u32) -> Option<u32> {
        (member < self.senders).then_some(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn plan(line: &str) -> Result<Plan, Vec<String>> {
        let words = std::iter::once("load").chain(line.split_whitespace());
        Plan::new(&Line::try_parse_from(words).unwrap().arguments)
    }

    #[test]
    fn no_arguments_are_a_first_run_within_the_servers_defaults() {
        let plan = plan("").unwrap();
        let limits = Limits::default();
        assert!(plan.users * 2 <= limits.sign_ins_per_minute, "made and deleted within a minute");
        let Pace::Rate(rate) = plan.pace else { panic!("not a rate") };
        assert!(rate / plan.users <= limits.messages_per_second);
        assert_eq!((plan.members, plan.rooms, plan.senders, plan.users), (100, 1, 10, 4));
    }

    #[test]
    fn members_senders_and_accounts_are_spread_evenly() {
        for line in [
            "",
            "--members 7 --rooms 3 --senders 2",
            "--members 50000 --rooms 10000",
            "--members 5 --senders 5 --users 5",
            "--members 1",
            "--members 1000 --senders 999 --rooms 7 --users 41",
        ] {
            let plan = plan(line).unwrap();
            let all = 0..plan.members;
            let talking: Vec<u32> =
                all.clone().filter(|member| plan.sender(*member).is_some()).collect();
            assert_eq!(talking.len(), plan.senders as usize, "{line}");
            let evenly = |members: &[u32], of: &dyn Fn(u32) -> usize, parts: u32| {
                let mut sizes = vec![0; parts as usize];
                for member in members {
                    sizes[of(*member)] += 1;
                }
                let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
                assert!(least + 1 >= *most, "{line}: {sizes:?}");
            };
            for members in [all.collect(), talking] {
                evenly(&members, &|member| plan.room(member), plan.rooms);
                evenly(&members, &|member| plan.user(member), plan.users);
            }
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = plan("--members 5 --rooms 6 --senders 7 --bytes 5 --users 8").unwrap_err();
        for (fault, word) in
            faults.iter().zip(["--rooms 6", "--senders 7", "--bytes 5", "--users 8"])
        {
            assert!(fault.contains(word), "{fault}");
        }
        assert_eq!(faults.len(), 4);
        let faults = plan("--members 33 --token a").unwrap_err();
        assert!(faults[0].contains("limits.connections_per_user"), "{faults:?}");
        assert_eq!(plan("--members 33 --token a --connections-per-user 40").unwrap().users, 1);
    }
}
