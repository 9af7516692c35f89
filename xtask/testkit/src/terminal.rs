//! A program in a terminal of its own, which can go away.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Child, Command};

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::wait::until_some;

/// What going away means for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// It is sent SIGHUP, as when a connection drops.
    Yes,
    /// It only finds that it cannot write any more, as a program of another session does.
    No,
}

/// A program in a terminal. Dropped, it is killed.
pub struct Terminal {
    child: Child,
    master: Option<File>,
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts a program with the terminal as its input and output.
    pub fn start(program: &Command, controls: Controls) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = File::from(open(ptsname(&master, Vec::new()).unwrap(), flags, Mode::empty()).unwrap());
        fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
        // A session of its own. `setsid` replaces itself by the program.
        let mut command = Command::new("setsid");
        command.args((controls == Controls::Yes).then_some("--ctty"));
        command.arg(program.get_program()).args(program.get_args()).env("TERM", "xterm-256color");
        command.current_dir(program.get_current_dir().unwrap());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let end = || slave.try_clone().unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { child, master: Some(File::from(master)), shown: Vec::new() }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has shown a text; false when the program ended without it.
    pub fn shows(&mut self, text: &str) -> bool {
        until_some(&format!("the terminal shows {text:?}"), || {
            let goes_on = self.read();
            let shown = String::from_utf8_lossy(&self.shown).contains(text);
            (shown || !goes_on).then_some(shown)
        })
    }

    /// The user types a line.
    pub fn types(&mut self, line: &str) {
        let master = self.master.as_mut().unwrap();
        master.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The terminal goes away.
    pub fn close(&mut self) {
        self.master = None;
    }

    /// Waits for the end of the program: its exit code, and all that it has shown.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = until_some("the program ends", || {
            self.read();
            self.child.try_wait().unwrap()
        });
        while self.read() {}
        (status.code(), String::from_utf8_lossy(&self.shown).into_owned())
    }

    /// Reads what is there; false when the terminal has ended on either side.
    fn read(&mut self) -> bool {
        let Some(master) = &mut self.master else { return false };
        let mut chunk = [0; 4096];
        loop {
            match master.read(&mut chunk) {
                Ok(0) => return false,
                Ok(length) => self.shown.extend_from_slice(&chunk[..length]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
