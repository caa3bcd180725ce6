//! `imgforge purge`: tells the running server to forget results and sources.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use super::health::{connect, split};
use crate::config::server::Network;
use crate::config::{AdminConfig, Env, ServerConfig};

/// What is to be purged, as the admin listener takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target(String);

impl Target {
    /// Reads the arguments behind `purge`; `None` where they are not exactly one of the forms.
    pub(super) fn parse(args: &[&str]) -> Option<Self> {
        let args: Vec<&str> = args
            .iter()
            .flat_map(|arg| match arg.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => vec![flag, value],
                _ => vec![*arg],
            })
            .collect();
        let value = match args.as_slice() {
            ["--all"] => json!({"all": true}),
            ["--url", url] => json!({"url": url}),
            ["--source", url] => json!({"source": url}),
            ["--prefix", prefix] if !prefix.is_empty() => json!({"prefix": prefix}),
            _ => return None,
        };
        Some(Self(value.to_string()))
    }
}

/// Sends the request to where the environment says that the admin listener is; gives its answer.
pub(super) fn run(env: &dyn Env, target: &Target) -> Result<String, String> {
    let config = AdminConfig::load_for_commands(env).map_err(|e| e.to_string())?;
    let (status, body) = ask(&config, target).map_err(|e| format!("purge failed: {e}"))?;
    if status == 200 {
        Ok(body)
    } else {
        Err(format!("purge failed: {status} {}", body.trim_end()))
    }
}

fn ask(config: &AdminConfig, Target(body): &Target) -> std::io::Result<(u16, String)> {
    let address = ServerConfig {
        bind: config.bind.clone(),
        network: Network::Tcp,
        ..ServerConfig::default()
    };
    let mut stream = connect(&address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (token, length) = (&config.token, body.len());
    // HTTP/1.0: the server closes after the answer and does not send it in chunks.
    write!(
        stream,
        "POST /purge HTTP/1.0\r\nHost: imgforge\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    split(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| std::io::Error::other("the answer is no HTTP"))
}

/// A purge of everything removes every file.
const PATIENCE: Duration = Duration::from_secs(600);
const LONGEST_ANSWER: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let parsed = |line: &str| {
            let args: Vec<&str> = line.split_whitespace().collect();
            Target::parse(&args).map(|target| target.0)
        };
        for (line, expected) in [
            ("--all", Some(r#"{"all":true}"#)),
            (
                "--source http://a/b?c=d",
                Some(r#"{"source":"http://a/b?c=d"}"#),
            ),
            (
                "--source=http://a/b?c=d",
                Some(r#"{"source":"http://a/b?c=d"}"#),
            ),
            ("--prefix http://a/", Some(r#"{"prefix":"http://a/"}"#)),
            ("--url /sig/plain/a", Some(r#"{"url":"/sig/plain/a"}"#)),
            ("", None),
            ("--prefix=", None),
            ("--source", None),
            ("--all --all", None),
            ("--tag a", None),
        ] {
            assert_eq!(parsed(line).as_deref(), expected, "{line}");
        }
    }
}
