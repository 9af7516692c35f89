//! What goes over the control socket: JSON lines, each with the protocol's number.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The protocol's number. A supervisor outlives toolkit versions, so a change of any message raises it.
pub const PROTOCOL: u32 = 1;

/// One version of the service, and how it is started. The child's environment is made of `env`, `secrets`, the
/// `LISTEN_` variables and the supervisor's `PATH`, `HOME`, `TMPDIR` and `LANG`, and of nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Tells this deploy's instance from others of the same version.
    pub id: String,
    /// The version it should report.
    pub version: String,
    /// The program's absolute path.
    pub program: Utf8PathBuf,
    /// Its arguments. Never secret.
    pub args: Vec<String>,
    /// The folder it runs in.
    pub dir: Utf8PathBuf,
    /// Plain variables of its environment.
    pub env: BTreeMap<String, String>,
    /// Secret variables of its environment. Masked in its logs; never written to disk; left out of `Debug`.
    pub secrets: BTreeMap<String, String>,
    /// How long it may drain after SIGTERM before it is killed; [`InstanceSpec::STOP_TIMEOUT`] unless there is a reason.
    pub stop_timeout: Duration,
}

impl InstanceSpec {
    /// The usual time to drain.
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
            .finish()
    }
}

/// Who answers on the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The supervisor's process.
    pub pid: u32,
    /// The version of the toolkit that started it.
    pub toolkit: String,
    /// The public address. Differs from the wanted one after the configured port changed: stop it, then launch anew.
    pub listen: SocketAddr,
}

/// A candidate that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its private address, on the loopback interface.
    pub address: SocketAddr,
    /// Its process.
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
    /// It did not end within its stop time-out and was killed.
    pub overdue: bool,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.overdue, self.code, self.signal) {
            (true, ..) => f.write_str("killed, as it did not stop in time"),
            (_, Some(code), _) => write!(f, "exit code {code}"),
            (_, _, Some(signal)) => write!(f, "signal {signal}"),
            _ => f.write_str("ended in an unknown way"),
        }
    }
}

/// An instance that ended, and the last it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The instance.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How it ended.
    pub ended: Ended,
    /// The last lines of its output, at most 30, secrets masked.
    pub tail: Vec<String>,
}

/// What an instance is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// On a private socket, to be probed.
    Candidate,
    /// On the public socket, not yet committed.
    Promoted,
    /// The committed one.
    Serving,
    /// The committed one, between a crash and its next start.
    Restarting,
    /// Told to stop, finishing what it began.
    Draining,
}

/// One instance in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// The instance.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its process; none while it waits to be started again.
    pub pid: Option<u32>,
    /// What it is there for.
    pub role: Role,
    /// When its process started, or ended while there is none.
    pub since: Timestamp,
    /// How often it was started again after a crash.
    pub restarts: u32,
    /// How it last crashed.
    pub last_exit: Option<Ended>,
}

/// What the supervisor and its instances are doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The supervisor.
    pub supervisor: About,
    /// Its protocol.
    pub protocol: u32,
    /// Its instances, the oldest first.
    pub instances: Vec<InstanceStatus>,
    /// Writes to the logs that failed, on a full disk say, and were given up.
    pub lost_log_writes: u64,
}

/// What a client asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ask {
    Status,
    Candidate(InstanceSpec),
    Promote,
    Commit,
    Discard,
    Stop,
}

/// A request and the number its reply carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) ask: Ask,
}

/// What an [`Ask`] of the same name is answered with.
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

/// What the supervisor says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Message {
    /// First of all, unasked.
    Hello(About),
    Reply {
        number: u64,
        result: Result<Answer, String>,
    },
    /// This connection's candidate or promoted instance ended by itself.
    Exited(Exit),
}

/// What the supervisor says once on its standard output, to who launched it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Started {
    Ready,
    PortInUse,
    Failed(String),
}

/// One line, with its line break.
pub(super) fn encode<T: Serialize>(body: &T) -> Result<String> {
    let mut line = serde_json::to_string(&Line { protocol: PROTOCOL, body }).context("write a message as JSON")?;
    line.push('\n');
    Ok(line)
}

/// The body of a line. The protocol's number is looked at before anything else is understood.
pub(super) fn decode<T: DeserializeOwned>(line: &str) -> Result<T> {
    // Neither error repeats the line: it may carry secrets.
    let Numbered { protocol } = serde_json::from_str(line).context("read a message of the control socket")?;
    if protocol != PROTOCOL {
        bail!("the other side speaks protocol {protocol} and this toolkit {PROTOCOL}");
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
    fn a_foreign_protocol_is_named_before_its_body_is_read() {
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
        };
        let text = format!("{:?}", Request { number: 1, ask: Ask::Candidate(spec) });
        assert!(text.contains("TOKEN") && !text.contains("sentinel"), "{text}");
    }
}
