//! The command line: one file per subcommand. Only this module prints.

mod config;
mod help;
mod load;
mod serve;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Effective, Flags, load};

/// A room server: sign in, enter rooms, talk, find everything again.
///
/// One process, one binary, one database file. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "parlor", version, args_conflicts_with_subcommands = true)]
#[command(after_help = help::PRECEDENCE, after_long_help = help::settings())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until a signal; this is also what happens without a command
    ///
    /// SIGTERM or Ctrl-C stops the server once everything is on disk; a second signal ends it at
    /// once.
    #[command(after_help = help::PRECEDENCE, after_long_help = help::settings())]
    Serve(Settings),
    /// Look at the configuration, or begin one
    #[command(subcommand, after_help = help::summary())]
    Config(ConfigCommand),
    /// Put a server under load and tell what it holds
    ///
    /// Members enter rooms and some of them talk; everything that arrives is counted and timed.
    /// Accounts and rooms are made for it and deleted afterwards, also on Ctrl-C; a second Ctrl-C
    /// leaves them and says which they are.
    #[command(after_help = load::HELP)]
    Load(Box<load::Arguments>),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a configuration file that explains every setting and gives it its default
    #[command(after_help = help::summary())]
    Default,
    /// Say "ok", or list everything that is wrong and exit with 1
    #[command(after_help = help::PRECEDENCE, after_long_help = help::settings())]
    Check(Settings),
    /// Print what is in effect, and where each value is from; secrets are hidden
    #[command(after_help = help::PRECEDENCE, after_long_help = help::settings())]
    Show(Settings),
}

/// The flags that give settings. Their values are checked together with all others.
#[derive(Debug, Default, Args)]
struct Settings {
    #[arg(long, value_name = "ADDR:PORT", help = help::flag("listen"))]
    listen: Option<String>,
    #[arg(long, value_name = "DIR", help = help::flag("data"))]
    data: Option<String>,
    #[arg(long, value_name = "ADDR:PORT", help = help::flag("metrics.listen"))]
    metrics_listen: Option<String>,
    #[arg(long, value_name = "FILE", help = help::file_flag())]
    config: Option<PathBuf>,
}

impl Settings {
    /// What the flags and the process's environment come to; faults are printed.
    fn load(self) -> Result<Effective, ExitCode> {
        let values =
            [("listen", self.listen), ("data", self.data), ("metrics-listen", self.metrics_listen)];
        let given = values.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
        let flags = Flags { config: self.config, values: given.collect() };
        load(&flags, std::env::vars_os()).map_err(|faults| {
            let (count, noun) = match faults.list().len() {
                1 => ("a", "fault"),
                _ => ("these", "faults"),
            };
            let lines = faults.to_string().replace('\n', "\n  ");
            fail(&format!("the configuration has {count} {noun}:\n  {lines}"))
        })
    }
}

/// Reads the arguments and does what they ask.
///
/// 0 is success, 1 a failure that has been told on standard error, 2 wrong usage; a server that a
/// second signal ends at once exits with 128 and the signal's number.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, and that may be closed.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match cli.command.unwrap_or(Command::Serve(cli.settings)) {
        Command::Serve(settings) => match settings.load() {
            Ok(effective) => serve::serve(effective.config),
            Err(code) => code,
        },
        Command::Config(ConfigCommand::Default) => config::default(),
        Command::Config(ConfigCommand::Check(settings)) => config::check(settings),
        Command::Config(ConfigCommand::Show(settings)) => config::show(settings),
        Command::Load(arguments) => load::load(&arguments),
    }
}

/// Prints what was asked for. A reader that has gone, as `head` does, is no failure.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to standard output: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Says on standard error what failed. If nobody can hear it, the exit code remains.
fn fail(reason: &impl fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "parlor: {reason}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_arguments_mean_serve() {
        assert!(Cli::try_parse_from(["parlor"]).unwrap().command.is_none());
        // The help named the flags, and without the command they were refused.
        let cli = Cli::try_parse_from(["parlor", "--data", "elsewhere"]).unwrap();
        assert!(cli.command.is_none() && cli.settings.data.as_deref() == Some("elsewhere"));
        assert!(Cli::try_parse_from(["parlor", "--data", "a", "serve", "--data", "b"]).is_err());
    }

    #[test]
    fn flags_are_taken_as_written_and_wrong_usage_exits_with_2() {
        let args = ["parlor", "serve", "--listen", "nonsense", "--data", "d", "--config", "c"];
        let Some(Command::Serve(settings)) = Cli::try_parse_from(args).unwrap().command else {
            panic!("not serve");
        };
        assert_eq!(settings.listen.as_deref(), Some("nonsense"));
        assert_eq!(settings.data.as_deref(), Some("d"));
        assert_eq!(settings.config.as_deref(), Some(std::path::Path::new("c")));
        for wrong in [["parlor", "sing"], ["parlor", "--listen"], ["parlor", "config"]] {
            assert_eq!(Cli::try_parse_from(wrong).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn the_first_help_names_what_most_people_set() {
        let help = Cli::command().render_help().to_string();
        let named = ["--listen", "[env: PARLOR_LISTEN]", "[default: 127.0.0.1:8080]", "--data"];
        for text in named.into_iter().chain(["[default: data]", "see more with '--help'"]) {
            assert!(help.contains(text), "{text}\n{help}");
        }
    }

    #[test]
    fn every_command_with_settings_explains_all_of_them() {
        for path in [&[][..], &["serve"], &["config", "check"], &["config", "show"]] {
            let mut command = Cli::command();
            let mut found = &mut command;
            for name in path {
                found = found.find_subcommand_mut(name).unwrap();
            }
            let help = found.render_long_help().to_string();
            for key in crate::config::KEYS {
                assert!(help.contains(&key.environment()), "{path:?} {}", key.name);
            }
            for text in [
                "--listen <ADDR:PORT>",
                "[env: PARLOR_LISTEN]",
                "[default: 127.0.0.1:8080]",
                "--data <DIR>",
                "[env: PARLOR_DATA]",
                "[default: data]",
                "--config <FILE>",
                "[env: PARLOR_CONFIG]",
            ] {
                assert!(help.contains(text), "{path:?} {text}\n{help}");
            }
        }
    }
}
