//! `parlor serve`: the runtime, the log, the signals and what a person sees at start.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogConfig, LogFormat};
use crate::domain::WebOrigin;
use crate::server::{FirstAccount, Server};

use super::{fail, print};

pub fn serve(config: Config) -> ExitCode {
    start_log(&config.log);
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    let outcome = run(&runtime, config);
    // The server has ended what it began; what else may still block must not hold up the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}

fn run(runtime: &Runtime, config: Config) -> Result<(), String> {
    runtime.block_on(async {
        let stop = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
        let public_url = config.public_url.clone();
        let server = Server::start(config).await.map_err(|error| error.to_string())?;
        // Whoever redirected standard output away still has a server.
        let _ = print(&greeting(server.addr(), public_url.as_ref(), &server.first_account()));
        server.run_until(stop.cancelled_owned()).await.map_err(|error| error.to_string())
    })
}

/// Log lines go to standard error. A writer that fails is not worth ending the server for.
fn start_log(log: &LogConfig) {
    // The configuration has checked that the filter parses.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_default();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false);
    let installed = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        let _ = writeln!(io::stderr(), "parlor: cannot set up the log: {error}");
    }
}

/// Cancelled by the first SIGTERM or Ctrl-C, also while the server starts. The second one ends the
/// process at once.
fn stop_signal() -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let first = stop.clone();
    tokio::spawn(async move {
        next_signal(&mut interrupt, &mut terminate).await;
        first.cancel();
        let code = next_signal(&mut interrupt, &mut terminate).await;
        std::process::exit(code);
    });
    Ok(stop)
}

/// Waits for either signal and returns the exit code that tells of it.
async fn next_signal(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    let kind = tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    };
    128 + kind.as_raw_value()
}

/// The address to open, and how to make the first account where there is none.
fn greeting(
    addr: SocketAddr,
    public_url: Option<&WebOrigin>,
    first_account: &FirstAccount,
) -> String {
    let url = url(addr);
    let open = match public_url {
        // At any other address the page's cookie is refused.
        Some(public_url) => format!("{public_url}/"),
        None if addr.ip().is_unspecified() => {
            format!("{url} here, or this machine's address elsewhere")
        }
        None => url.clone(),
    };
    let hint = if public_url.is_none() && !addr.ip().is_loopback() {
        // They refuse its cookie; the server says so again to whoever tries.
        "Over plain HTTP, browsers on other machines can sign in once public_url says the address \
         that they open, such as http://192.168.1.5:8080.\n"
    } else {
        ""
    };
    let opening = format!("Parlor listens on {addr}. Open {open}\n{hint}");
    let (who, setup_code) = match first_account {
        FirstAccount::Exists => return opening,
        FirstAccount::Closed => {
            return format!(
                "{opening}There is no account, and nobody may make one: auth.signup is closed.\n"
            );
        }
        FirstAccount::SetupCode(code) if addr.ip().is_loopback() => (
            format!(
                "Whoever signs up first, on this machine or elsewhere with the setup code {code}, \
                 is the admin"
            ),
            String::new(),
        ),
        FirstAccount::SetupCode(code) => (
            format!("Whoever signs up first, with the setup code {code}, is the admin"),
            format!(r#","setupCode":"{code}""#),
        ),
    };
    format!(
        "{opening}There is no account yet. {who}; from a shell:\n  \
         curl {url}api/v1/signup -H 'content-type: application/json' \\\n    \
         -d '{{\"username\":\"NAME\",\"password\":\"PASSWORD\"{setup_code}}}'\n"
    )
}

/// Where this machine's own browser finds the server.
fn url(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, addr.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greet(addr: &str, first_account: &FirstAccount) -> String {
        greeting(addr.parse().unwrap(), None, first_account)
    }

    // A page that was opened at the address that was printed could not sign in: its cookie counts
    // at `public_url` alone.
    #[test]
    fn a_public_address_is_the_one_to_open() {
        let public = WebOrigin::parse("https://chat.example.org").unwrap();
        let addr = "0.0.0.0:8080".parse().unwrap();
        let line = greeting(addr, Some(&public), &FirstAccount::Exists);
        let expected = "Parlor listens on 0.0.0.0:8080. Open https://chat.example.org/\n";
        assert_eq!(line, expected);
        let code = FirstAccount::SetupCode("k7-q2".to_owned());
        let first = greeting(addr, Some(&public), &code);
        assert!(first.starts_with(expected), "{first}");
        assert!(first.contains("curl http://127.0.0.1:8080/api/v1/signup "), "{first}");
    }

    #[test]
    fn the_address_can_be_opened() {
        let exists = &FirstAccount::Exists;
        let one = "Parlor listens on 127.0.0.1:8080. Open http://127.0.0.1:8080/\n";
        assert_eq!(greet("127.0.0.1:8080", exists), one);
        assert!(greet("0.0.0.0:80", exists).contains("Open http://127.0.0.1:80/ here, or this"));
        assert!(greet("[::]:80", exists).contains("Open http://[::1]:80/ here, or this"));
        assert!(greet("[2001:db8::1]:80", exists).contains("Open http://[2001:db8::1]:80/\n"));
    }

    // Whoever opened the address that was printed, on another machine, could not sign in there.
    #[test]
    fn other_machines_need_a_public_url() {
        for (addr, expected) in [("127.0.0.1:80", false), ("0.0.0.0:80", true), ("[::]:80", true)] {
            let line = greet(addr, &FirstAccount::Exists);
            assert_eq!(line.contains("once public_url says"), expected, "{line}");
        }
        let public = WebOrigin::parse("http://192.168.1.5:8080").unwrap();
        let told = greeting("0.0.0.0:80".parse().unwrap(), Some(&public), &FirstAccount::Exists);
        assert!(!told.contains("once public_url says"), "{told}");
    }

    #[test]
    fn the_first_account_is_explained_until_it_exists() {
        let closed = greet("127.0.0.1:8080", &FirstAccount::Closed);
        assert!(closed.contains("auth.signup is closed") && !closed.contains("curl"));
        let code = FirstAccount::SetupCode("k7-q2".to_owned());
        let open = greet("127.0.0.1:8080", &code);
        assert!(open.contains("on this machine or elsewhere with the setup code k7-q2, is"));
        assert!(open.contains("curl http://127.0.0.1:8080/api/v1/signup "));
        assert!(open.contains(r#"-d '{"username":"NAME","password":"PASSWORD"}'"#));
        let code = greet("0.0.0.0:8080", &code);
        assert!(code.contains("with the setup code k7-q2, is"));
        assert!(code.contains(r#""password":"PASSWORD","setupCode":"k7-q2"}'"#));
    }
}
