//! A server of a test's own: started, waited for by what it says, ended with the test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a server may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with this value, without being asked: it holds nothing that anybody wants.
pub struct Server {
    child: Child,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts it and waits until a line of its standard error gives something.
    pub fn start<T: Send + 'static>(
        command: &mut Command,
        up: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> Result<(Self, T), String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("start {:?}: {error}", command.get_program()))?;
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (said, listen) = mpsc::channel();
        // Reads on until it ends, or the server would stop at a full pipe.
        let reader = std::thread::spawn(move || {
            let mut tail = String::new();
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(found) = up(&line) {
                    said.send(Ok(found)).ok();
                }
                tail = format!("{}{line}\n", &tail[tail.len().saturating_sub(2000)..]);
            }
            said.send(Err(tail)).ok();
        });
        let server = Self { child, reader: Some(reader) };
        match listen.recv_timeout(PATIENCE) {
            Ok(Ok(found)) => Ok((server, found)),
            Ok(Err(tail)) => Err(format!("{:?} ended: {tail}", command.get_program())),
            Err(_) => Err(format!("{:?} did not come up in {PATIENCE:?}", command.get_program())),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without asking, and waits until all that it started has ended: until nobody holds its standard error.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program as root of processes and mounts of its own, all of which end with it.
pub fn alone(program: impl AsRef<std::ffi::OsStr>, more: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]).args(more).arg(program);
    command
}
