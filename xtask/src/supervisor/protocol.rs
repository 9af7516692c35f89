//! The messages of the control socket: JSON lines with the protocol's version.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fs::Owner;

/// The protocol's version. A supervisor outlives toolkit versions, so every change of a message increments it.
pub const PROTOCOL: u32 = 1;

/// How to start one version of the service. The child's environment is `env`, `secrets`, the `LISTEN_` variables, and the
/// supervisor's `PATH`, `HOME`, `TMPDIR` and `LANG`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Distinguishes this deploy's instance from others of the same version.
    pub id: String,
    /// The version that it should report.
    pub version: String,
    /// The program's absolute path.
    pub program: Utf8PathBuf,
    /// Its arguments. Never secret.
    pub args: Vec<String>,
    /// Its working directory.
    pub dir: Utf8PathBuf,
    /// Plain variables of its environment.
    pub env: BTreeMap<String, String>,
    /// Secret variables of its environment. Redacted in its logs, never written to disk, and omitted in `Debug`.
    pub secrets: BTreeMap<String, String>,
    /// How long it may drain after SIGTERM before it is killed; [`InstanceSpec::STOP_TIMEOUT`] by default.
    pub stop_timeout: Duration,
    /// The user that it runs as, without further groups; none for the supervisor's own. Needs root, and a supervisor that
    /// [sets users](About::sets_user).
    #[serde(default)]
    pub user: Option<Owner>,
    /// The variable that names the port which it opens. None if it takes the socket that it is given. Needs a supervisor that
    /// [relays](About::relays).
    #[serde(default)]
    pub port_variable: Option<String>,
}

impl InstanceSpec {
    /// The default of `stop_timeout`.
    pub const STOP_TIMEOUT: Duration = Duration::from_secs(40);
}

impl fmt::Debug for InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSpec")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("program", &self.program)
            .field("args", &self.args)
            .field("dir", &self.dir)
            .field("env", &self.env)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .field("stop_timeout", &self.stop_timeout)
            .field("user", &self.user)
            .field("port_variable", &self.port_variable)
            .finish()
    }
}

/// The supervisor that answers on the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its process number.
    pub pid: u32,
    /// The version of the toolkit that started it.
    pub toolkit: String,
    /// The public address. If deploy.yaml now has another port, stop this supervisor and launch a new one.
    pub listen: SocketAddr,
    /// Whether it starts instances as [`InstanceSpec::user`]. One of an earlier toolkit starts all as its own user.
    #[serde(default)]
    pub sets_user: bool,
    /// Whether it relays to services with a [port of their own](InstanceSpec::port_variable).
    #[serde(default)]
    pub relays: bool,
}

/// A started candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its private address, on the loopback interface.
    pub address: SocketAddr,
    /// Its process number.
    pub pid: u32,
}

/// How and when a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// It did not end within its stop timeout and was killed.
    pub overdue: bool,
}

/// What a process did: "ended with exit code 3".
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.overdue, self.code, self.signal) {
            (true, ..) => f.write_str("was killed because it did not stop in time"),
            (_, Some(code), _) => write!(f, "ended with exit code {code}"),
            (_, _, Some(signal)) => write!(f, "was ended by signal {signal}"),
            _ => f.write_str("ended with an unknown exit status"),
        }
    }
}

/// An instance that has ended, and its last output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The instance's id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its process number.
    pub pid: u32,
    /// How it ended.
    pub ended: Ended,
    /// The last lines of its output, at most 30, with secrets redacted.
    pub tail: Vec<String>,
}

/// The role of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// On a private socket, to be probed.
    Candidate,
    /// On the public socket, not yet committed.
    Promoted,
    /// Committed.
    Serving,
    /// Committed; crashed, and not restarted yet.
    Restarting,
    /// Told to stop; it finishes its requests.
    Draining,
}

/// One instance in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// The instance's id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its process number; none while it waits for its restart.
    pub pid: Option<u32>,
    /// Its role.
    pub role: Role,
    /// When its process started; without a process, when the last one ended.
    pub since: Timestamp,
    /// Restarts after a crash.
    pub restarts: u32,
    /// Its last crash.
    pub last_exit: Option<Ended>,
    /// The user that it runs as; none for the supervisor's own.
    #[serde(default)]
    pub user: Option<Owner>,
}

/// The supervisor and its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The supervisor.
    pub supervisor: About,
    /// Its protocol version.
    pub protocol: u32,
    /// Its instances, oldest first.
    pub instances: Vec<InstanceStatus>,
    /// Failed writes to the logs, for example on a full disk.
    pub lost_log_writes: u64,
}

/// A client's command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ask {
    Status,
    Candidate(Box<InstanceSpec>),
    Promote,
    Commit,
    Discard,
    Stop,
}

/// A request. Its reply has the same number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) ask: Ask,
}

/// The result of the [`Ask`] of the same name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Status(Status),
    Candidate(Candidate),
    Promoted(u32),
    Committed(Option<Exit>),
    Discarded(Option<Exit>),
    Stopped,
}

/// A message from the supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Message {
    /// The greeting: the first message of a connection.
    Hello(About),
    Reply {
        number: u64,
        result: Result<Answer, String>,
    },
    /// This connection's candidate or promoted instance ended by itself.
    Exited(Exit),
}

/// The start message, which the supervisor writes to its standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Started {
    Ready,
    PortInUse,
    Failed(String),
}

/// A message as a line, with its line break.
pub(super) fn encode<T: Serialize>(body: &T) -> Result<String> {
    let mut line = serde_json::to_string(&Line { protocol: PROTOCOL, body }).context("write a message as JSON")?;
    line.push('\n');
    Ok(line)
}

/// The message in a line. The protocol's version is checked before the message is parsed.
pub(super) fn decode<T: DeserializeOwned>(line: &str) -> Result<T> {
    // No error repeats the line: it may contain secrets.
    let Numbered { protocol } = serde_json::from_str(line).context("read a message of the control socket")?;
    if protocol != PROTOCOL {
        bail!("the other side uses protocol {protocol}, this toolkit uses {PROTOCOL}");
    }
    let Line { body, .. } = serde_json::from_str(line).context("read a message of the control socket")?;
    Ok(body)
}

#[derive(Deserialize)]
struct Numbered {
    protocol: u32,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    protocol: u32,
    body: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_protocol_is_reported_before_the_message_is_parsed() {
        let error = decode::<Request>(r#"{"protocol":7,"body":{"what":"ever"}}"#).unwrap_err().to_string();
        assert!(error.contains("protocol 7"), "{error}");
    }

    #[test]
    fn secrets_are_not_in_the_debug_output() {
        let spec = InstanceSpec {
            id: "a".into(),
            version: "b".into(),
            program: "/bin/true".into(),
            args: Vec::new(),
            dir: "/".into(),
            env: BTreeMap::new(),
            secrets: BTreeMap::from([("TOKEN".into(), "sentinel".into())]),
            stop_timeout: InstanceSpec::STOP_TIMEOUT,
            user: None,
            port_variable: None,
        };
        let text = format!("{:?}", Request { number: 1, ask: Ask::Candidate(Box::new(spec)) });
        assert!(text.contains("TOKEN") && !text.contains("sentinel"), "{text}");
    }
}
