//! The two stages together: precedence, origins, and all faults at once.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const SECRET: &str = "correct horse battery staple 1234";

/// A source of each kind, for one call of [`load`].
#[derive(Default)]
struct Sources {
    flags: Flags,
    env: Vec<(OsString, OsString)>,
    directory: Option<TempDir>,
}

impl Sources {
    fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.values.push((name, value.to_owned()));
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    fn file(mut self, text: impl AsRef<[u8]>) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("parlor.toml");
        fs::write(&path, text).unwrap();
        self.flags.config = Some(path);
        self.directory = Some(directory);
        self
    }

    fn load(&self) -> Result<Effective, Faults> {
        load(&self.flags, self.env.clone())
    }

    fn valid(&self) -> Effective {
        self.load().unwrap()
    }

    /// Each fault's line, the file's directory left out.
    fn faults(&self) -> Vec<String> {
        let faults = self.load().unwrap_err().to_string();
        let directory = self
            .directory
            .as_ref()
            .map_or(String::from("/"), |directory| format!("{}/", directory.path().display()));
        faults.lines().map(|line| line.replace(&directory, "")).collect()
    }
}

fn sources() -> Sources {
    Sources::default()
}

#[test]
fn nothing_said_means_the_defaults() {
    let effective = sources().env("PATH", "/bin").env("OTHER_PARLOR_X", "1").valid();
    assert_eq!(effective.config, Config::default());
    assert!(KEYS.iter().all(|key| *effective.origin(key.name) == Origin::Default));
    assert_eq!(effective.config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(effective.config.auth.token_ttl, Duration::from_hours(30 * 24));
}

#[test]
fn metrics_are_turned_off_by_a_word_and_only_their_default_address_may_be_taken() {
    let default = sources().valid().config.metrics;
    assert_eq!(default.listen.unwrap().to_string(), "127.0.0.1:9480");
    assert!(default.may_be_taken());
    let off = sources().env("PARLOR_METRICS__LISTEN", "off").valid().config.metrics;
    assert_eq!((off.listen, off.may_be_taken()), (None, false));
    let own = sources().file("[metrics]\nlisten = '[::1]:9'").flag("metrics-listen", "[::1]:8");
    let own = own.valid().config.metrics;
    assert_eq!(own.listen, Some("[::1]:8".parse().unwrap()));
    assert!(!own.may_be_taken());
    let wrong = sources().flag("metrics-listen", "on").faults();
    let rule = "metrics.listen must be an IP address and port such as 127.0.0.1:9480, or \"off\"";
    assert_eq!(wrong, [format!("flag --metrics-listen: {rule}, not \"on\"")]);
}

#[test]
fn origins_are_read_and_shown_as_browsers_write_them() {
    let file = "public_url = 'https://Chat.Example.org:443/'\nallowed_origins = ['http://a:80']";
    let effective = sources().file(file).valid();
    let (config, shown) = (&effective.config, effective.show());
    assert_eq!(config.public_url, WebOrigin::parse("https://chat.example.org"));
    assert!(shown.contains("public_url = \"https://chat.example.org\" # "), "{shown}");
    assert!(shown.contains("allowed_origins = [\"http://a\"] # "), "{shown}");
    let by_variable = sources().env("PARLOR_ALLOWED_ORIGINS", "http://a, https://b:1 ,").valid();
    assert_eq!(by_variable.config.allowed_origins.len(), 2);
    let wrong = sources().file("allowed_origins = 'http://a'\npublic_url = ['http://a']");
    let wrong = wrong.env("PARLOR_PUBLIC_URL", "http://a/b").faults();
    assert_eq!(wrong[0], "parlor.toml line 1: allowed_origins must be an array of strings");
    assert_eq!(wrong[1], "parlor.toml line 2: public_url must be a string, not an array");
    assert!(
        wrong[2].ends_with("192.168.1.5:8080, without a path, not \"http://a/b\""),
        "{wrong:?}"
    );
    assert!(sources().file("allowed_origins = [1]").load().is_err());
    assert!(sources().env("PARLOR_ALLOWED_ORIGINS", &"http://a,".repeat(65)).load().is_err());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = sources().file("listen = '127.0.0.1:1'\ndata = 'f'\n[auth]\nsignup = 'closed'\n");
    let three = file.env("PARLOR_LISTEN", "127.0.0.1:2").env("PARLOR_DATA", "e");
    let effective = three.flag("listen", "127.0.0.1:3").valid();
    let config = &effective.config;
    assert_eq!(config.listen, "127.0.0.1:3".parse::<SocketAddr>().unwrap());
    assert_eq!(config.data, PathBuf::from("e"));
    assert_eq!(config.auth.signup, Signup::Closed);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(*effective.origin("listen"), Origin::Flag("listen"));
    assert_eq!(*effective.origin("data"), Origin::Environment("PARLOR_DATA".to_owned()));
    assert!(matches!(effective.origin("auth.signup"), Origin::File { line: 4, .. }));
    assert_eq!(*effective.origin("log.format"), Origin::Default);
}

#[test]
fn every_source_reads_every_kind_of_value() {
    let effective = sources()
        .file(
            "listen = \"[::1]:0\"\nauth = { token_ttl = \"12h\" }\n\
             limits.frame_bytes = 0x2_0000\nlimits.cache_bytes = 1_048_576\n",
        )
        .env("PARLOR_LIMITS__MESSAGE_BYTES", "20000")
        .env("PARLOR_LIMITS__MESSAGES_PER_SECOND", "0")
        .env("PARLOR_ROOMS__DELIVERY", "committed")
        .env("PARLOR_LOG__FORMAT", "json")
        .env("PARLOR_LOG__FILTER", "warn,parlor=debug")
        .env("PARLOR_AUTH__SECRET", SECRET)
        .valid();
    let config = effective.config;
    assert_eq!(config.listen, "[::1]:0".parse::<SocketAddr>().unwrap());
    assert_eq!(config.auth.token_ttl, Duration::from_hours(12));
    assert_eq!(config.auth.secret.unwrap().as_bytes(), SECRET.as_bytes());
    assert_eq!(config.rooms.delivery, Delivery::Committed);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.filter, "warn,parlor=debug");
    assert_eq!(config.limits.frame_bytes, 0x2_0000);
    assert_eq!(config.limits.cache_bytes, 1024 * 1024);
    assert_eq!(config.limits.message_bytes, 20_000);
    assert_eq!(config.limits.messages_per_second, 0);
}

#[test]
fn mistakes_in_one_file_are_told_together_each_with_its_line() {
    let faults = sources().file(
        "# A comment.\nlisten = 'localhost:8080'\n\n[auth]\nsignup = 'maybe'\ntoken_ttl = 30\n\
         secret = 'short'\nsercet = 'x'\n\n[limits]\nmessage_bytes = 0\nframe_bytes = '9'\n\
         [limts]\nx = 1\ny = 2\n[rooms]\ndelivery = 'later'\n",
    );
    let expected = [
        "parlor.toml line 2: listen must be an IP address and port such as 127.0.0.1:8080 or \
         [::1]:8080, not \"localhost:8080\"",
        "parlor.toml line 5: auth.signup must be \"open\" or \"closed\", not \"maybe\"",
        "parlor.toml line 6: auth.token_ttl must be a string, not an integer",
        "parlor.toml line 7: auth.secret must have 32 to 1024 bytes, not 5",
        "parlor.toml line 8: \"auth.sercet\" is no setting",
        "parlor.toml line 11: limits.message_bytes must be an integer from 1 to 21674, not 0",
        "parlor.toml line 12: limits.frame_bytes must be an integer from 1 to 1048576, not the \
         string \"9\"",
        "parlor.toml line 13: \"limts\" is no setting",
        "parlor.toml line 17: rooms.delivery must be \"immediate\" or \"committed\", not \"later\"",
    ];
    assert_eq!(faults.faults(), expected);
}

#[test]
fn faults_of_all_sources_are_told_together() {
    let faults = sources()
        .file("log.format = 'xml'\n")
        .env("PARLOR_LISTEN", "")
        .env("PARLOR_LISTN", "127.0.0.1:1")
        .env("PARLOR_LOG__FILTER", "info,[")
        .env("PARLOR_auth__signup", "open")
        .env("PARLOR_AUTH_SIGNUP", "open")
        .flag("data", "")
        .faults();
    assert_eq!(faults.len(), 7, "{faults:#?}");
    assert!(faults[0].starts_with("parlor.toml line 1: log.format must be \"text\" or"));
    assert_eq!(faults[1], "environment PARLOR_AUTH_SIGNUP: is no setting of this name");
    assert!(faults[2].starts_with("environment PARLOR_LISTEN: listen must be an IP address"));
    assert_eq!(faults[3], "environment PARLOR_LISTN: is no setting of this name");
    assert!(faults[4].starts_with("environment PARLOR_LOG__FILTER: log.filter must be log"));
    assert_eq!(faults[5], "environment PARLOR_auth__signup: is no setting of this name");
    assert_eq!(faults[6], "flag --data: data must not be empty");
}

#[test]
fn a_fault_is_told_even_where_another_source_overrides_it() {
    let faults = sources().env("PARLOR_LISTEN", "x").flag("listen", "127.0.0.1:1").faults();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("environment PARLOR_LISTEN: listen must"));
}

#[test]
fn a_table_and_a_value_are_not_taken_for_each_other() {
    let faults = sources().file("auth = 5\nlisten = {}\n[[log]]\n").faults();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert_eq!(faults[0], "parlor.toml line 1: auth must be a table, not an integer");
    assert_eq!(faults[1], "parlor.toml line 2: listen must be a string, not a table");
    assert_eq!(faults[2], "parlor.toml line 3: log must be a table, not an array");
    let faults = sources().file("\"auth.signup\" = 'open'\n[auth.signup]\n").faults();
    assert_eq!(faults[0], "parlor.toml line 1: \"auth.signup\" is no setting");
    assert_eq!(faults[1], "parlor.toml line 2: auth.signup must be a string, not a table");
}

#[test]
fn a_file_that_is_not_toml_is_one_fault_with_line_and_column_and_no_content() {
    let text = format!("data = 'd'\nauth.secret = \"{SECRET}\" é !\nlisten = \n");
    let faults = sources().file(text).faults();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].starts_with("parlor.toml line 2: is not TOML, at column 51: "), "{faults:?}");
    assert!(!faults[0].contains("horse"));
    let faults = sources().file(b"a = 1\nb = '\xc3\xa9\xff'").faults();
    assert_eq!(faults, ["parlor.toml line 2: is not UTF-8 text, at column 7"]);
    let faults = sources().file("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:1'\n").faults();
    assert!(faults[0].starts_with("parlor.toml line 2: is not TOML, at column 1: "), "{faults:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_of_who_named_it() {
    let faults = sources().env("PARLOR_CONFIG", "/nowhere/x.toml").env("PARLOR_X", "1");
    let faults = faults.load().unwrap_err();
    assert_eq!(faults.list().len(), 2);
    let named = "environment PARLOR_CONFIG: names \"/nowhere/x.toml\", which cannot be read: ";
    assert!(faults.to_string().starts_with(named), "{faults}");

    let mut flag = sources().env("PARLOR_CONFIG", "/nowhere/x.toml");
    flag.flags.config = Some(PathBuf::from("/"));
    assert!(flag.faults()[0].starts_with("flag --config: names "));

    let huge = "#".repeat(crate::domain::limits::CONFIG_FILE_BYTES + 1);
    assert!(sources().file(huge).faults()[0].contains("has more than 1048576 bytes"));
}

#[test]
fn the_flag_names_the_file_before_the_variable_does() {
    let named = sources().file("data = 'by flag'\n").env("PARLOR_CONFIG", "/nowhere/x.toml");
    assert_eq!(named.valid().config.data, PathBuf::from("by flag"));
    let path = named.flags.config.clone().unwrap();
    let by_variable = sources().env("PARLOR_CONFIG", path.to_str().unwrap());
    assert_eq!(by_variable.valid().config.data, PathBuf::from("by flag"));
}

#[cfg(unix)]
#[test]
fn a_variable_must_be_utf_8() {
    use std::os::unix::ffi::OsStringExt;
    let mut one = sources();
    one.env.push(("PARLOR_DATA".into(), OsString::from_vec(vec![0xff])));
    one.env.push((OsString::from_vec(b"PARLOR_\xff".to_vec()), "x".into()));
    let faults = one.faults();
    assert_eq!(faults[0], "environment PARLOR_DATA: data must be UTF-8");
    assert_eq!(faults[1], "environment PARLOR_\u{fffd}: is no setting of this name");
}

#[test]
fn a_secret_is_read_from_a_file_named_by_variable_or_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, format!("{SECRET}\n")).unwrap();
    let path = path.to_str().unwrap();
    let variable = sources().env("PARLOR_AUTH__SECRET_FILE", path);
    let file = sources().file(format!("auth.secret_file = '{path}'"));
    for named in [variable, file] {
        let effective = named.valid();
        assert_eq!(effective.config.auth.secret.as_ref().unwrap().as_bytes(), SECRET.as_bytes());
        let shown = effective.show();
        assert!(shown.contains(&format!("secret_file = \"{path}\" # ")), "{shown}");
        assert!(!shown.contains(SECRET));
    }

    let both = sources()
        .file(format!("[auth]\nsecret = '{SECRET}'"))
        .env("PARLOR_AUTH__SECRET_FILE", "/nowhere/secret")
        .faults();
    assert_eq!(both.len(), 2, "{both:#?}");
    let unreadable = "environment PARLOR_AUTH__SECRET_FILE: auth.secret_file names \"/nowhere/";
    assert!(both[0].starts_with(unreadable), "{both:#?}");
    assert_eq!(
        both[1],
        "environment PARLOR_AUTH__SECRET_FILE: auth.secret_file must not be given with auth.secret \
         (parlor.toml line 2)"
    );
}

#[test]
fn no_output_holds_a_secret() {
    let effective = sources().env("PARLOR_AUTH__SECRET", SECRET).valid();
    assert!(!format!("{effective:?}").contains("horse"));
    let shown = effective.show();
    assert!(shown.contains("secret = \"***\" # environment PARLOR_AUTH__SECRET\n"), "{shown}");
    assert!(!shown.contains("horse"));
    let refused = sources().env("PARLOR_AUTH__SECRET", "horse").load().unwrap_err();
    assert!(!format!("{refused:?} {refused}").contains("horse"));
}

#[test]
fn limits_must_agree_and_the_one_that_was_given_is_named() {
    let faults = sources().env("PARLOR_LIMITS__FRAME_BYTES", "16639").faults();
    assert_eq!(
        faults,
        ["environment PARLOR_LIMITS__FRAME_BYTES: limits.frame_bytes must be at least 256 more \
          than limits.message_bytes, which is 16384, not 16639"]
    );
    sources().env("PARLOR_LIMITS__FRAME_BYTES", "16640").valid();
    let overridden = sources().file("limits.frame_bytes = 20000\n");
    let overridden = overridden.env("PARLOR_LIMITS__FRAME_BYTES", "16639").faults();
    assert!(overridden[0].starts_with("environment PARLOR_LIMITS__FRAME_BYTES: limits.frame"));

    let faults = sources()
        .file("[limits]\nwaiting_bytes = 67108864\nwaiting_bytes_total = 65536\n")
        .env("PARLOR_LIMITS__PARTIAL_INPUT_BYTES", "65535")
        .env("PARLOR_LIMITS__WRITER_QUEUE_BYTES", "16383")
        .faults();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(
        faults[0].starts_with("parlor.toml line 3: limits.waiting_bytes_total must be at least")
    );
    assert!(faults[1].contains("PARTIAL_INPUT_BYTES: limits.partial_input_bytes must be at least"));
    assert!(faults[2].contains("WRITER_QUEUE_BYTES: limits.writer_queue_bytes must be at least"));

    let queue = sources().env("PARLOR_LIMITS__WRITER_QUEUE_MESSAGES", "256").faults();
    assert_eq!(
        queue,
        ["environment PARLOR_LIMITS__WRITER_QUEUE_MESSAGES: limits.writer_queue_messages must be \
          at least 1 more than limits.unacknowledged, which is 256, not 256"]
    );
    let queue = sources().env("PARLOR_LIMITS__WRITER_QUEUE_BYTES", "4194303").faults();
    assert!(queue[0].ends_with(
        "limits.writer_queue_bytes must be at least limits.unacknowledged times \
         limits.message_bytes, which is 4194304, not 4194303"
    ));
    sources().env("PARLOR_LIMITS__WRITER_QUEUE_BYTES", "4194304").valid();

    let smaller = sources().env("PARLOR_LIMITS__MESSAGE_BYTES", "21674");
    let smaller = smaller.env("PARLOR_LIMITS__FRAME_BYTES", "x").faults();
    assert_eq!(smaller.len(), 1, "a value at fault is not compared: {smaller:#?}");
    let unread = sources().file("= 1").env("PARLOR_LIMITS__FRAME_BYTES", "1").faults();
    assert_eq!(unread.len(), 1, "what the file says is unknown: {unread:#?}");
}

#[test]
fn the_largest_message_fits_a_request_with_every_character_escaped() {
    use crate::domain::limits::{BODY_BYTES, MESSAGE_BYTES_MAX, MESSAGE_ID_BYTES};
    let message = "\\u003c".repeat(MESSAGE_BYTES_MAX);
    let id = "\\u003c".repeat(MESSAGE_ID_BYTES);
    let body = format!("{{\n  \"message\": \"{message}\",\n  \"id\": \"{id}\"\n}}\n");
    assert!(body.len() <= BODY_BYTES);
    assert!(crate::domain::Limits::default().message_bytes <= MESSAGE_BYTES_MAX);
}

#[test]
fn the_default_file_says_everything_and_parses_to_the_defaults() {
    let text = default_file();
    let effective = sources().file(&text).valid();
    assert_eq!(effective.config, Config::default());
    for key in KEYS {
        assert!(text.contains(key.about), "{}", key.name);
        assert!(text.contains(&key.form.to_string()[1..]), "{}", key.name);
        assert!(text.contains(&format!("Variable: {}\n", key.environment())), "{}", key.name);
        let said = matches!(effective.origin(key.name), Origin::File { .. });
        assert_eq!(said, key.default() != Shown::Unset, "{}", key.name);
    }
    let without_comments = text.replace("\n# secret = ", "\nsecret = ");
    let uncommented = sources().file(without_comments).faults();
    assert!(uncommented[0].contains("auth.secret must have"), "it stands in its section");
    assert!(text.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn what_is_shown_reads_back_and_names_each_origin() {
    let effective = sources()
        .file("[log]\nfilter = \"warn,parlor=\\u0064ebug\"\n")
        .env("PARLOR_DATA", "a \"quoted\"\nname")
        .flag("listen", "127.0.0.1:9")
        .valid();
    let shown = effective.show();
    assert!(shown.contains("listen = \"127.0.0.1:9\" # flag --listen\n"), "{shown}");
    assert!(shown.contains("parlor.toml line 2\n"), "{shown}");
    assert!(shown.contains("token_ttl = \"30d\" # default\n"), "{shown}");
    assert!(shown.contains("# secret is not set\n"), "{shown}");
    assert_eq!(sources().file(shown).valid().config, effective.config);
}
