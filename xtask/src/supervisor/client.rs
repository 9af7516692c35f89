//! The deploy command's side of the control socket.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use camino::Utf8Path;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::Obstacle;
use super::control::find_socket_path;
use super::protocol::{About, Answer, Ask, Candidate, Exit, InstanceSpec, Message, Request, Status, decode, encode};

/// How long the supervisor may take to send its greeting.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a running supervisor. An instance that it started and did not commit ends with it.
pub struct Connection {
    about: About,
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    number: u64,
    exits: VecDeque<Exit>,
}

/// Connects to the supervisor of this state folder. None when none is running.
pub async fn connect(state_dir: &Utf8Path) -> Result<Option<Connection>> {
    match fs_err::exists(state_dir) {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let Some(path) = find_socket_path(state_dir)? else { return Ok(None) };
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("connect to the supervisor at {path}")),
    };
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let mute = |what: String| Obstacle::Mute { what, pid };
    let (read, write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let hello = match tokio::time::timeout(HELLO_TIMEOUT, lines.next_line()).await {
        Ok(Ok(Some(line))) => line,
        // The supervisor is ending.
        Ok(_) => return Ok(None),
        Err(_) => bail!(mute(format!("the supervisor at {path} accepts connections but does not answer"))),
    };
    let stop = || pid.map_or_else(String::new, |pid| format!("; stop it, then deploy again: kill {pid}"));
    let hello =
        decode(&hello).map_err(|error| mute(format!("talk to the supervisor at {path}{}: {error:#}", stop())))?;
    match hello {
        Message::Hello(about) => Ok(Some(Connection { about, lines, write, number: 0, exits: VecDeque::new() })),
        other => bail!("the supervisor at {path} sent something else before its greeting: {other:?}"),
    }
}

impl Connection {
    /// The supervisor.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The supervisor and its instances.
    pub async fn status(&mut self) -> Result<Status> {
        match self.ask(Ask::Status).await? {
            Answer::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts a version on a private socket, where the caller probes it. Fails while another deploy is under way.
    pub async fn candidate(&mut self, spec: &InstanceSpec) -> Result<Candidate> {
        match self.ask(Ask::Candidate(Box::new(spec.clone()))).await? {
            Answer::Candidate(candidate) => {
                // Earlier exits are those of an earlier candidate.
                self.exits.clear();
                Ok(candidate)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Stops the candidate and starts its version on the public socket, beside the old one. Returns its process number.
    pub async fn promote(&mut self) -> Result<u32> {
        match self.ask(Ask::Promote).await? {
            Answer::Promoted(pid) => Ok(pid),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes the promoted version the serving one. Cannot be undone. Waits until the old one, if there was one, has drained, and
    /// returns how it ended.
    pub async fn commit(&mut self) -> Result<Option<Exit>> {
        match self.ask(Ask::Commit).await? {
            Answer::Committed(old) => Ok(old),
            other => Err(unexpected(&other)),
        }
    }

    /// Stops the candidate or the promoted instance, and returns how it ended and its last output. The old one runs on.
    pub async fn discard(&mut self) -> Result<Option<Exit>> {
        match self.ask(Ask::Discard).await? {
            Answer::Discarded(exit) => Ok(exit),
            other => Err(unexpected(&other)),
        }
    }

    /// Stops every instance and then the supervisor. Afterwards the address is free.
    pub async fn stop(mut self) -> Result<()> {
        match self.ask(Ask::Stop).await? {
            Answer::Stopped => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Resolves when the candidate or the promoted instance of this connection ends by itself, which ends the deploy. Fails when
    /// the supervisor ends. Cancel-safe: it can run in a `select!` beside a probe.
    pub async fn exited(&mut self) -> Result<Exit> {
        loop {
            if let Some(exit) = self.exits.pop_front() {
                return Ok(exit);
            }
            // An answer here is that of a request whose future was dropped.
            self.next_reply().await?;
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer> {
        self.number += 1;
        let line = encode(&Request { number: self.number, ask })?;
        self.write.write_all(line.as_bytes()).await.context("ask the supervisor")?;
        loop {
            if let Some((number, result)) = self.next_reply().await?
                && number == self.number
            {
                return result.map_err(|text| anyhow!(text).context("the supervisor refused"));
            }
        }
    }

    /// Reads one message. Returns an answer; keeps an exit for [`Connection::exited`].
    async fn next_reply(&mut self) -> Result<Option<(u64, Result<Answer, String>)>> {
        let line = self.lines.next_line().await.context("listen to the supervisor")?;
        let line = line.with_context(|| format!("the supervisor, process {}, ended", self.about.pid))?;
        match decode(&line)? {
            Message::Reply { number, result } => return Ok(Some((number, result))),
            Message::Exited(exit) => self.exits.push_back(exit),
            Message::Hello(_) => {}
        }
        Ok(None)
    }
}

fn unexpected(answer: &Answer) -> anyhow::Error {
    anyhow!("the supervisor sent an unexpected answer: {answer:?}")
}
