//! The toolkit's process under way, followed by its events.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use rustix::process::Signal;
use serde_json::Value;

use crate::{PATIENCE, machine};

/// A command that was started with `--json`. Dropped, it is killed.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    seen: Vec<Value>,
}

/// How a followed command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub events: Vec<Value>,
    pub stderr: String,
}

impl Running {
    /// Starts it, in a process group of its own.
    pub fn start(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt as _;
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, stderr: Some(stderr), seen: Vec::new() }
    }

    /// Its process, and its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for an event of a step; false when the process ended without it.
    pub fn wait_for(&mut self, step: &str, state: &str) -> bool {
        while let Some(event) = self.next() {
            if event["step"] == step && event["state"] == state {
                return true;
            }
        }
        false
    }

    /// Waits for an event, which must come.
    #[track_caller]
    pub fn must(&mut self, step: &str, state: &str) {
        assert!(self.wait_for(step, state), "there is no {step} {state}: {:#?}", self.seen);
    }

    /// Waits for an event like this, which must come.
    #[track_caller]
    pub fn must_tell(&mut self, is_it: impl Fn(&Value) -> bool) {
        while let Some(event) = self.next() {
            if is_it(&event) {
                return;
            }
        }
        panic!("there is no such event: {:#?}", self.seen);
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        machine::signal(self.pid(), signal);
    }

    /// Kills it (SIGKILL) and waits for its end: its events.
    pub fn kill(mut self) -> Vec<Value> {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
        while self.next().is_some() {}
        std::mem::take(&mut self.seen)
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        while self.next().is_some() {}
        let code = self.child.wait().unwrap().code();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended { code, events: std::mem::take(&mut self.seen), stderr }
    }

    fn next(&mut self) -> Option<Value> {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(error) => panic!("{error}; so far: {:#?}", self.seen),
        };
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.seen.push(event.clone());
        Some(event)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ended {
    /// It ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{:#?}\n{}", self.events, self.stderr);
        self
    }

    /// The steps that ended in this state, in their order.
    pub fn steps(&self, state: &str) -> Vec<&str> {
        self.events.iter().filter(|event| event["state"] == state).filter_map(|event| event["step"].as_str()).collect()
    }

    /// The texts of the events in this state.
    pub fn texts(&self, state: &str) -> String {
        let texts = self.events.iter().filter(|event| event["state"] == state);
        texts.filter_map(|event| event["detail"]["text"].as_str()).map(|text| format!("{text}\n")).collect()
    }
}
