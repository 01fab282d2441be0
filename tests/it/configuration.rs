//! The configuration as an operator meets it: on the command line, in a file, in the environment.

use std::fs;

use crate::process::{UNHURRIED, run, start};
use crate::support::Person;

const SECRET: &str = "an old oak door with iron hinges, painted green";

#[tokio::test]
async fn every_mistake_of_a_file_is_told_at_once_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let file =
        "listen = \"everywhere\"\n\n[auth]\nsignup = \"perhaps\"\n[limits]\nconections = 5\n";
    fs::write(place.path().join("parlor.toml"), file).unwrap();
    for command in [&["serve"][..], &["config", "check"], &["config", "show"]] {
        let arguments = [command, &["--config", "parlor.toml"]].concat();
        let ended = run(place.path(), &arguments, &[]).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        let lines: Vec<_> = ended.err.lines().collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        for (line, wanted) in lines[1..].iter().zip([
            ["parlor.toml line 1: ", "listen", "everywhere"],
            ["parlor.toml line 4: ", "auth.signup", "perhaps"],
            ["parlor.toml line 6: ", "limits.conections", ""],
        ]) {
            assert!(wanted.iter().all(|word| line.contains(word)), "{line}");
        }
    }
    assert!(!place.path().join("data").exists(), "nothing is begun");
}

#[tokio::test]
async fn a_variable_that_means_nothing_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let ended = run(place.path(), &[], &[("PARLOR_LISTN", "127.0.0.1:0")]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("environment PARLOR_LISTN"), "{ended:?}");
    assert!(!place.path().join("data").exists());
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let place = tempfile::tempdir().unwrap();
    let ended = run(place.path(), &["serve"], &[("PARLOR_CONFIG", "nowhere.toml")]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("nowhere.toml"), "{ended:?}");
}

#[tokio::test]
async fn the_default_file_is_accepted_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let default = run(place.path(), &["config", "default"], &[]).await;
    default.succeeded();
    fs::write(place.path().join("parlor.toml"), &default.out).unwrap();
    let file = [("PARLOR_CONFIG", "parlor.toml")];
    let check = run(place.path(), &["config", "check", "--config", "parlor.toml"], &[]).await;
    let ok = "ok: read parlor.toml\n";
    assert_eq!((check.code, check.out.as_str(), check.err.as_str()), (Some(0), ok, ""));
    let check = run(place.path(), &["config", "check"], &file).await;
    assert_eq!((check.code, check.out.as_str()), (Some(0), ok), "named by the environment");
    let values = |out: &str| -> Vec<String> {
        out.lines().map(|line| line.split(" # ").next().unwrap().to_owned()).collect()
    };
    let without = run(place.path(), &["config", "show"], &[]).await;
    let with = run(place.path(), &["config", "show"], &file).await;
    assert_eq!(values(&with.out), values(&without.out));
}

/// Whoever forgot `--config` was told that all was well.
#[tokio::test]
async fn a_check_says_that_no_file_was_read() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("parlor.toml"), "nonsense").unwrap();
    let check = run(place.path(), &["config", "check"], &[]).await;
    let ok = "ok: no file was read, since none was named\n";
    assert_eq!((check.code, check.out.as_str(), check.err.as_str()), (Some(0), ok, ""));
}

#[tokio::test]
async fn what_is_in_effect_is_shown_with_its_origin_and_without_the_secret() {
    let place = tempfile::tempdir().unwrap();
    let file = format!("data = \"elsewhere\"\n[auth]\nsecret = \"{SECRET}\"\n");
    fs::write(place.path().join("parlor.toml"), file).unwrap();
    let arguments = ["config", "show", "--config", "parlor.toml", "--listen", "127.0.0.1:9"];
    let shown = run(place.path(), &arguments, &[("PARLOR_LOG__FORMAT", "json")]).await;
    shown.succeeded();
    for line in [
        "listen = \"127.0.0.1:9\" # flag --listen",
        "data = \"elsewhere\" # parlor.toml line 1",
        "format = \"json\" # environment PARLOR_LOG__FORMAT",
        "secret = \"***\" # parlor.toml line 3",
    ] {
        assert!(shown.out.lines().any(|shown| shown == line), "{line}\n{}", shown.out);
    }
    assert!(!shown.out.contains(SECRET) && !shown.err.contains(SECRET), "{shown:?}");
}

/// Also a secret that is refused, and one in the wrong place, stays out of what is printed.
#[tokio::test]
async fn a_secret_is_never_shown_when_it_is_at_fault() {
    let place = tempfile::tempdir().unwrap();
    let short = "a green door";
    for name in ["PARLOR_AUTH__SECRET", "PARLOR_AUTH__SECRT"] {
        let ended = run(place.path(), &["config", "check"], &[(name, short)]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(name) && !ended.err.contains(short), "{ended:?}");
    }
}

#[tokio::test]
async fn every_help_tells_defaults_and_variables() {
    let place = tempfile::tempdir().unwrap();
    for command in [
        &[][..],
        &["serve"],
        &["config"],
        &["config", "default"],
        &["config", "check"],
        &["config", "show"],
    ] {
        let help = run(place.path(), &[command, &["--help"]].concat(), &[]).await;
        help.succeeded();
        for word in ["PARLOR_LISTEN", "127.0.0.1:8080", "PARLOR_DATA", "PARLOR_CONFIG"] {
            assert!(help.out.contains(word), "{command:?}: no {word}\n{}", help.out);
        }
    }
}

#[tokio::test]
async fn flags_win_over_variables_and_variables_over_the_file() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("parlor.toml"), "data = \"file\"\nlisten = \"[::1]:0\"").unwrap();
    let environment = [&UNHURRIED[..], &[("PARLOR_DATA", "variable")]].concat();
    let arguments = ["serve", "--config", "parlor.toml", "--data", "flag"];
    let mut program = start(place.path(), &arguments, &environment);
    let addr = program.addr().await;
    assert!(addr.is_ipv4(), "{addr}");
    Person::sign_up(addr, "ann").await;
    let exists = |name: &str| place.path().join(name).exists();
    assert!(exists("flag") && !exists("variable") && !exists("file"));
}
