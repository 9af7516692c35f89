//! The process of a server.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many of the last lines of its output are kept.
const LINES: usize = 10_000;

/// How many of them an error shows.
const TAIL: usize = 20;

/// Whether servers lead process groups of their own.
static APART: AtomicBool = AtomicBool::new(false);

/// Servers that are started from now on do not get the Ctrl-C of this process's terminal: this process ends them by itself.
pub fn keep_apart_from_the_terminal() {
    APART.store(true, Ordering::Relaxed);
}

/// What says that a server is up.
#[derive(Clone, Debug)]
pub enum Ready {
    /// The first line of its output from which this function takes a text: [`Server::said`].
    Line(fn(&str) -> Option<String>),
    /// It accepts connections there.
    Port(SocketAddr),
    /// It accepts connections at this Unix socket.
    Socket(PathBuf),
}

/// A running server. It is killed when this value is dropped.
///
/// Its standard input is a pipe that nothing is written to: a server that watches it sees when this process has ended.
pub struct Server {
    command: Command,
    ready: Ready,
    process: Option<Process>,
}

impl Server {
    /// Starts a server and waits until it is up. The standard streams of the command are set here.
    pub fn start(command: Command, ready: Ready) -> Result<Self> {
        let mut server = Self { command, ready, process: None };
        server.restart()?;
        Ok(server)
    }

    /// Kills it if it runs, starts it again with the same arguments and waits until it is up.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let mut process = Process::spawn(&mut self.command, &self.ready)?;
        let up = process.wait_until_up(&self.ready);
        // One that is not up ends here.
        self.process = Some(process);
        let name = self.command.get_program().to_owned();
        up.inspect_err(|_| self.kill()).with_context(|| format!("start {}", name.display()))
    }

    /// The text that [`Ready::Line`] took from its output.
    pub fn said(&self) -> String {
        self.process.as_ref().and_then(|process| process.log.lock().said.clone()).unwrap_or_default()
    }

    /// The last lines of its standard output and error, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.process.as_ref().map(|process| process.log.lock().lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// The number of its process, which must run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").child.id()
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        if let Some(process) = &mut self.process {
            process.child.stdin = None;
        }
    }

    /// Waits until it ends without being asked to: its exit status.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let Some(process) = &mut self.process else { bail!("the server does not run") };
        process.wait(PATIENCE).with_context(|| format!("wait for the end of {}", self.command.get_program().display()))
    }

    /// Asks it to end (SIGTERM), waits until it has, and kills it if it takes too long.
    pub fn stop(&mut self) {
        if let Some(process) = &mut self.process {
            kill_process(process.pid(), Signal::TERM).ok();
            process.wait(PATIENCE).ok();
        }
        self.kill();
    }

    /// Kills it, and waits until it and the processes that write to its output have ended. Its output can still be read.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.child.kill().ok();
            process.child.wait().ok();
            process.log.wait_until(PATIENCE, |state| state.writers == 0);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process and what it has written.
struct Process {
    child: Child,
    log: Arc<Log>,
}

impl Process {
    fn spawn(command: &mut Command, ready: &Ready) -> Result<Self> {
        if APART.load(Ordering::Relaxed) {
            command.process_group(0);
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("start {}", command.get_program().display()))?;
        let find = if let Ready::Line(find) = ready { Some(*find) } else { None };
        let log = Arc::new(Log::default());
        log.lock().writers = 2;
        // Both are read to their ends, or the server would stop at a full pipe.
        let streams: [Option<Box<dyn Read + Send>>; 2] =
            [child.stdout.take().map(|it| Box::new(it) as _), child.stderr.take().map(|it| Box::new(it) as _)];
        for stream in streams.into_iter().flatten() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || log.fill(stream, find));
        }
        Ok(Self { child, log })
    }

    fn wait_until_up(&mut self, ready: &Ready) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let up = match ready {
                Ready::Line(_) => {
                    self.log.wait_until(Duration::from_millis(100), |state| state.said.is_some() || state.writers == 0)
                }
                Ready::Port(address) => TcpStream::connect(address).is_ok(),
                Ready::Socket(path) => UnixStream::connect(path).is_ok(),
            };
            // A port that answers may be another program's, which this one could not get.
            if let Some(status) = self.child.try_wait()? {
                self.log.wait_until(Duration::from_secs(1), |state| state.writers == 0);
                bail!("it ended with {status}; its last output:\n{}", self.log.tail());
            }
            if up && (!matches!(ready, Ready::Line(_)) || self.log.lock().said.is_some()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("it did not start within {} s; its last output:\n{}", PATIENCE.as_secs(), self.log.tail());
            }
            if !matches!(ready, Ready::Line(_)) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("it still runs after {} s; its last output:\n{}", patience.as_secs(), self.log.tail());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// The output of a process.
#[derive(Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// What the line gave that said that the server is up.
    said: Option<String>,
    /// How many of its two streams are still open.
    writers: u8,
}

impl Log {
    fn fill(&self, stream: impl Read, find: Option<fn(&str) -> Option<String>>) {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut state = self.lock();
            if state.said.is_none() {
                state.said = find.and_then(|find| find(&line));
            }
            if state.lines.len() == LINES {
                state.lines.pop_front();
            }
            state.lines.push_back(line);
            self.changed.notify_all();
        }
        self.lock().writers -= 1;
        self.changed.notify_all();
    }

    /// Waits until it is so; false if it was not within this time.
    fn wait_until(&self, patience: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), patience, |state| !is_so(state));
        !waited.expect("no reader has panicked").1.timed_out()
    }

    fn tail(&self) -> String {
        let state = self.lock();
        let skipped = state.lines.len().saturating_sub(TAIL);
        state.lines.iter().skip(skipped).map(|line| format!("  {line}\n")).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no reader has panicked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn port(line: &str) -> Option<String> {
        line.strip_prefix("port ").map(str::to_owned)
    }

    #[test]
    fn a_line_says_that_it_is_up_and_it_can_be_restarted() {
        let mut server =
            Server::start(shell("echo begins >&2; echo port 7; exec sleep 1000"), Ready::Line(port)).unwrap();
        assert_eq!(server.said(), "7");
        let first = server.pid();
        server.restart().unwrap();
        assert_ne!(server.pid(), first);
        server.stop();
        assert!(server.lines().contains(&"port 7".to_owned()));
    }

    #[test]
    fn one_that_ends_too_early_is_an_error_with_its_last_lines() {
        let error = Server::start(shell("echo no such disk >&2; exit 3"), Ready::Line(port)).err().unwrap();
        let text = format!("{error:#}");
        assert!(
            text.contains("start sh") && text.contains("exit status: 3") && text.contains("no such disk"),
            "{text}"
        );
        let error = Server::start(Command::new("/no/such/program"), Ready::Line(port)).err().unwrap();
        assert!(format!("{error:#}").contains("start /no/such/program"), "{error:#}");
    }

    #[test]
    fn one_that_watches_its_input_sees_that_it_is_closed() {
        let mut server = Server::start(shell("echo port 7; read _; exit 4"), Ready::Line(port)).unwrap();
        server.close_input();
        assert_eq!(server.wait().unwrap().code(), Some(4));
    }
}
