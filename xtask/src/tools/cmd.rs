//! Runs programs: checks their exit status, and names them in errors.
//!
//! A child inherits a named part of this process's environment: see [`Inherited`]. It leads its own process group, which is
//! terminated when the future that waits for it is dropped. So Ctrl-C, a failed concurrent step or a lost lease leave no compiler
//! running.

mod apart;
mod environment;
mod followed;
mod outliving;
mod output;
mod process;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::Pid;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub use self::environment::{Inherited, REPOSITORY_VARIABLES};
pub use self::followed::Followed;
use self::output::End;
pub use self::output::Output;
use self::process::{Running, read_all};
use crate::secrets::Redactor;
use crate::tools::platform::program_path;

/// Lines of a failed program's output in its error.
const TAIL: usize = 25;

/// A program to run. Its arguments are never secret: [`Cmd::secret`] puts secrets into its environment.
#[derive(Clone)]
pub struct Cmd {
    program: String,
    args: Vec<String>,
    by: Vec<String>,
    dir: Option<PathBuf>,
    env: Vec<(String, OsString)>,
    removed: Vec<String>,
    user: Option<(u32, u32)>,
    inherited: Inherited,
    input: Option<Vec<u8>>,
    redactor: Redactor,
}

impl Cmd {
    /// A program on the `PATH`, or the path of one. It inherits what [`Inherited::of`] says.
    pub fn new(program: impl Into<String>) -> Self {
        let program = program.into();
        Self {
            inherited: Inherited::of(&program),
            program,
            args: Vec::new(),
            by: Vec::new(),
            dir: None,
            env: Vec::new(),
            removed: Vec::new(),
            user: None,
            input: None,
            redactor: Redactor::default(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The same, run by another program with these arguments, which get this one's command line behind them. Errors do not
    /// show that.
    pub fn by(mut self, program: &str, args: &[&str]) -> Self {
        self.by = std::iter::once(&program).chain(args).map(|&word| word.to_owned()).collect();
        self
    }

    /// Sets its working directory.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Removes environment variables.
    pub fn without_env(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.removed.extend(names);
        self
    }

    /// Sets a secret environment variable, and redacts its value in the output.
    pub fn secret(mut self, name: impl Into<String>, value: &SecretString) -> Self {
        self.redactor.learn_value(value);
        self.env.push((name.into(), value.expose_secret().into()));
        self
    }

    /// Sets its user and group. Needs root. It gets a session of its own, without this process's terminal, and no way to more
    /// privileges.
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// Lets it inherit something else.
    pub fn inherits(mut self, inherited: Inherited) -> Self {
        self.inherited = inherited;
        self
    }

    /// Sets its standard input, for [`Cmd::output`] and [`Cmd::stream`].
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Runs it to its end. If it fails, the error has the end of its output.
    pub async fn run(&self) -> Result<()> {
        self.run_lines(|_| {}).await
    }

    /// Runs it to its end. `on_line` gets each line of both output streams at once. A carriage return ends a line, too, because
    /// progress bars use it.
    pub async fn run_lines(&self, mut on_line: impl FnMut(&str)) -> Result<()> {
        self.run_lines_if(|line| {
            on_line(line);
            true
        })
        .await
    }

    /// The same. An error repeats only lines for which `on_line` returns true.
    pub async fn run_lines_if(&self, mut on_line: impl FnMut(&str) -> bool) -> Result<()> {
        let mut followed = self.follow()?;
        let mut tail = VecDeque::with_capacity(TAIL + 1);
        while let Some(line) = followed.next().await? {
            if on_line(&line) {
                tail.push_back(line);
            }
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
        let status = followed.wait().await?;
        self.check(status, tail.make_contiguous())
    }

    /// Runs it to its end and returns its standard output, without line breaks at the end.
    pub async fn capture(&self) -> Result<String> {
        Ok(self.capture_whole().await?.trim_end_matches('\n').to_owned())
    }

    /// Runs it to its end and returns its whole standard output.
    pub async fn capture_whole(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.capture_bytes().await?).into_owned())
    }

    /// The same as it was written: paths are not always UTF-8.
    pub async fn capture_bytes(&self) -> Result<Vec<u8>> {
        self.capture_warned().await.map(|(stdout, _)| stdout)
    }

    /// The same with its standard error, for a program that warns of what it left out, and succeeds.
    pub async fn capture_warned(&self) -> Result<(Vec<u8>, String)> {
        let (status, stdout, stderr) = self.finish().await?;
        self.check_stderr(status, &stderr)?;
        Ok((stdout, stderr))
    }

    /// The same with its exit code, for a program that answers by it. Fails with every code but 0 and those that `is_answer`
    /// names.
    pub async fn capture_if(&self, is_answer: impl Fn(i32) -> bool) -> Result<(i32, Vec<u8>)> {
        let (status, stdout, stderr) = self.finish().await?;
        if let Some(code) = status.code().filter(|&code| is_answer(code)) {
            return Ok((code, stdout));
        }
        self.check_stderr(status, &stderr)?;
        Ok((0, stdout))
    }

    /// Runs it to its end and returns whether it succeeded. Fails only if it cannot be started.
    pub async fn succeeds(&self) -> Result<bool> {
        Ok(self.output().await?.0.success())
    }

    /// Starts it and returns its standard output as a stream. Reading to the end fails if the program fails. Dropping the stream
    /// ends the program.
    pub fn stream(&self) -> Result<Output> {
        let mut running = self.spawn(Stdio::piped(), Stdio::piped())?;
        let stdout = running.child.stdout.take().context("the program has no standard output")?;
        let stderr = running.child.stderr.take();
        let (name, redactor) = (self.to_string(), self.redactor.clone());
        let end = async move {
            let mut bytes = Vec::new();
            read_all(stderr, &mut bytes).await?;
            let status = running.wait().await?;
            if status.success() {
                return Ok(());
            }
            let stderr = String::from_utf8_lossy(&bytes);
            let stderr = redactor.redact(stderr.trim());
            Err(std::io::Error::other(format!("`{name}` failed: {status}. Its output: {stderr}")))
        };
        Ok(Output { stdout, end: End::Awaited(Box::pin(end)) })
    }

    /// Runs it to its end and returns its status, standard output and standard error. Fails only if it cannot be started.
    pub async fn output(&self) -> Result<(ExitStatus, String, String)> {
        let (status, stdout, stderr) = self.finish().await?;
        Ok((status, String::from_utf8_lossy(&stdout).into_owned(), stderr))
    }

    async fn finish(&self) -> Result<(ExitStatus, Vec<u8>, String)> {
        let mut running = self.spawn(Stdio::piped(), Stdio::piped())?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (running.child.stdout.take(), running.child.stderr.take());
        let (read_out, read_err) = tokio::join!(read_all(out, &mut stdout), read_all(err, &mut stderr));
        read_out.and(read_err).with_context(|| format!("read the output of `{self}`"))?;
        let status = running.wait().await.with_context(|| format!("wait for `{self}`"))?;
        let stderr = self.redactor.redact(&String::from_utf8_lossy(&stderr)).into_owned();
        // Standard output is data. A caller that shows it has to redact it.
        Ok((status, stdout, stderr))
    }

    fn spawn(&self, output: Stdio, errors: Stdio) -> Result<Running> {
        let mut line = self.by.iter().chain([&self.program]).chain(&self.args);
        let program = line.next().unwrap_or(&self.program);
        let own_path = !self.env.iter().any(|(name, _)| name == "PATH");
        let path = own_path.then(|| program_path(program)).flatten();
        let mut command = Command::new(path.as_ref().map_or(program.as_str(), |path| path.as_str()));
        command.args(line);
        command.env_clear().envs(self.inherited.variables());
        for name in &self.removed {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(output).stderr(errors);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        match self.user {
            // Its session's leader leads its group, too.
            Some((uid, gid)) => apart::run_apart(command.uid(uid).gid(gid)),
            None => drop(command.process_group(0)),
        }
        let mut child = command.spawn().with_context(|| match &self.dir {
            Some(dir) => format!("start `{self}` in {}", dir.display()),
            None => format!("start `{self}`"),
        })?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), self.input.clone()) {
            // Beside the reading of its output, which a program may begin to write before it has read everything. Fails if the
            // program ends without reading. Its status then says why.
            tokio::spawn(async move { stdin.write_all(&input).await.ok() });
        }
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Running { child, group })
    }

    fn check_stderr(&self, status: ExitStatus, stderr: &str) -> Result<()> {
        let tail: Vec<String> = stderr.lines().map(str::to_owned).collect();
        self.check(status, &tail[tail.len().saturating_sub(TAIL)..])
    }

    fn check(&self, status: ExitStatus, tail: &[String]) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let tail = tail.join("\n");
        if tail.trim().is_empty() {
            bail!("`{self}` failed without output: {status}");
        }
        bail!("`{self}` failed: {status}. Its output:\n{tail}")
    }
}

/// The command line, quoted for a shell.
impl std::fmt::Display for Cmd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.program)?;
        for arg in &self.args {
            // Fails for a zero byte, which no argument can have.
            write!(f, " {}", shlex::try_quote(arg).unwrap_or(Cow::Borrowed(arg)))?;
        }
        Ok(())
    }
}
