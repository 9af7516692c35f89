//! Runs other programs with limits. `app limited` gives up its rights, then becomes the program.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, ChildStdout, Command},
};

use super::{
    ProcessError,
    sandbox::{self, Access, Rights},
    slots::{Abandoned, Slots},
};

/// In bytes.
const MAX_LAST_WORDS: u64 = 16 << 10;

/// The exit code of `app limited` when it fails itself, and those of a program that cannot be loaded.
const NOT_STARTED: [i32; 3] = [125, 126, 127];

/// Limits on the work of a process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Address space, in bytes.
    pub memory: u64,
    /// Of each file that it writes, in bytes.
    pub file_size: u64,
    /// Counted by the kernel, whatever else the machine does.
    pub processor_time: Duration,
    /// Whether it leaves the processors to others.
    pub background: bool,
    /// By the clock; longer, because the machine may be busy.
    pub time: Duration,
}

impl Limits {
    pub fn rights(&self) -> Rights {
        Rights::new(self)
    }
}

/// Run a program with limits for the service
#[derive(clap::Args)]
pub struct LimitedArgs {
    #[command(flatten)]
    rights: Rights,
    /// A file or folder that the program may read
    #[arg(long)]
    read: Vec<PathBuf>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the program; returns only if that fails.
pub fn main(args: LimitedArgs) -> ExitCode {
    let Err(error) = become_program(args);
    eprintln!("{error:#}");
    ExitCode::from(125)
}

fn become_program(args: LimitedArgs) -> anyhow::Result<std::convert::Infallible> {
    let [program, arguments @ ..] = &args.command[..] else { anyhow::bail!("there is no program to run") };
    args.rights.limit()?;
    sandbox::restrict_files(&Access::to_programs().execute(program).read(args.read))?;
    sandbox::refuse_sockets()?;
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Starts programs with limits.
pub struct Launcher {
    /// The service's own program.
    program: PathBuf,
    slots: Slots,
}

/// A program to run once.
pub struct Program<'a> {
    pub path: &'a Path,
    pub arguments: Vec<OsString>,
    /// All of it.
    pub environment: Vec<(&'static str, OsString)>,
    pub input: Stdio,
    /// What it may read beside the system's programs and libraries.
    pub readable: Vec<PathBuf>,
    pub limits: Limits,
    /// Longest standard output, in bytes. A program that writes more is ended.
    pub max_output: u64,
}

/// A program that ended by itself, or by its limits on memory and processor time.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub output: Vec<u8>,
    /// The beginning of its standard error.
    pub last_words: String,
}

impl Launcher {
    pub fn new(program: PathBuf, slots: Slots) -> Self {
        Self { program, slots }
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// If it cannot be started, takes too long, or writes too much. It is gone then, with all processes that it started.
    pub async fn run(&self, program: Program<'_>) -> Result<Finished, ProcessError> {
        let mut command = Command::new(&self.program);
        command.arg("limited").args(program.limits.rights().to_args());
        command.args(program.readable.iter().flat_map(|path| [OsStr::new("--read"), path.as_os_str()]));
        command.arg("--").arg(program.path).args(program.arguments);
        command.env_clear().envs(program.environment).stdin(program.input);
        let (time, max_output) = (program.limits.time, program.max_output);
        let finished = self.slots.run(|abandoned| supervise(command, time, max_output, abandoned)).await?;
        if finished.status.code().is_some_and(|code| NOT_STARTED.contains(&code)) {
            return Err(ProcessError::Internal(anyhow::anyhow!("{}: {}", program.path.display(), finished.last_words)));
        }
        Ok(finished)
    }
}

async fn supervise(
    mut command: Command,
    time: Duration,
    max_output: u64,
    abandoned: Abandoned,
) -> Result<Finished, ProcessError> {
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot start a program with limits")?;
    let finished = tokio::select! {
        finished = tokio::time::timeout(time, finish(&mut child, max_output)) => {
            finished.unwrap_or(Err(ProcessError::TimedOut))
        }
        () = abandoned.wait() => Err(ProcessError::Internal(anyhow::anyhow!("the caller is gone"))),
    };
    if finished.is_err() {
        end_group(&child);
        // It fails if the process is gone already.
        child.kill().await.ok();
    }
    finished
}

/// Kills the group that a process leads, unless the process was waited for.
pub fn end_group(leader: &Child) {
    let group = leader.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    // It fails if all are gone already.
    group.map(|group| kill_process_group(group, Signal::KILL).ok());
}

async fn finish(child: &mut Child, max_output: u64) -> Result<Finished, ProcessError> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (output, last_words) = tokio::try_join!(read_output(stdout, max_output), read_last_words(stderr))?;
    let status = child.wait().await.context("cannot wait for a program")?;
    Ok(Finished { status, output, last_words })
}

async fn read_output(stdout: Option<ChildStdout>, max_output: u64) -> Result<Vec<u8>, ProcessError> {
    let mut output = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(max_output + 1).read_to_end(&mut output).await.map_err(anyhow::Error::from)?;
    }
    if output.len() as u64 > max_output {
        return Err(ProcessError::Crashed(format!("it wrote more than {max_output} bytes")));
    }
    Ok(output)
}

/// Reads standard error to its end, so that the program is not held up, and keeps its beginning.
pub async fn read_last_words(stderr: Option<ChildStderr>) -> Result<String, ProcessError> {
    let mut beginning = Vec::new();
    if let Some(mut stderr) = stderr {
        let read = async {
            (&mut stderr).take(MAX_LAST_WORDS).read_to_end(&mut beginning).await?;
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await
        };
        read.await.map_err(anyhow::Error::from)?;
    }
    Ok(String::from_utf8_lossy(&beginning).into_owned())
}

impl Finished {
    /// The output of a program that succeeded.
    pub fn success(self) -> Result<Vec<u8>, ProcessError> {
        if self.status.success() { Ok(self.output) } else { Err(cause_of_death(self.status, &self.last_words)) }
    }
}

/// Why a process ended without a result, from its exit status and its standard error.
pub fn cause_of_death(status: ExitStatus, last_words: &str) -> ProcessError {
    // The standard library of Rust, glibc, and C++.
    const OUT_OF_MEMORY: [&str; 3] = ["memory allocation of", "Cannot allocate memory", "bad_alloc"];
    if OUT_OF_MEMORY.iter().any(|words| last_words.contains(words)) {
        return ProcessError::OutOfMemory;
    }
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return ProcessError::TimedOut;
    }
    ProcessError::Crashed(format!("{status}; {}", last_words.trim()))
}
