//! The children that decode pictures. One is kept for the next picture, and ends when none comes.

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    process::Stdio,
    sync::{Arc, Mutex, Once, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::{
    net::UnixStream,
    process::{Child as ChildProcess, Command},
};

use super::{
    DerivedImage, ImageLimits, Limits, ProcessError, ProcessSettings,
    image::GreyImage,
    limits::{cause_of_death, end_group, read_last_words},
    programs,
    slots::{Abandoned, Slots},
    wire::{self, Failed, Job, Output, Reply},
};

/// For a picture of 50 megapixels: its pixels with 16 bits a channel, a copy of them with 8, and the file. A child that decodes
/// within its processor time is not ended because the machine is busy.
pub const LIMITS: Limits = Limits {
    memory: 1 << 30,
    file_size: 0,
    background: false,
    processor_time: Duration::from_secs(30),
    time: Duration::from_secs(60),
};

/// How long a child waits for the next picture.
pub const IDLE: Duration = Duration::from_secs(10);

/// What a child may keep of its memory between two pictures, in KiB.
const MAX_RESIDENT: u64 = 128 << 10;

/// What a program may write for a picture, in bytes.
const MAX_CONVERTED: u64 = 256 << 20;

/// How long a child that has closed its socket may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Decodes pictures.
pub struct Pool {
    slots: Slots,
    children: Arc<Children>,
}

struct Children {
    settings: ProcessSettings,
    /// The last one was at work last.
    idle: Mutex<Vec<Child>>,
    without_landlock: Once,
}

struct Child {
    process: ChildProcess,
    socket: UnixStream,
    idle_since: Instant,
    /// For the files of a program that the child runs. Such a child is used once.
    folder: Option<TempDir>,
}

impl Pool {
    pub fn new(settings: ProcessSettings, slots: Slots) -> Self {
        let children = Children { settings, idle: Mutex::default(), without_landlock: Once::new() };
        Self { slots, children: Arc::new(children) }
    }

    /// Validates a picture and derives what is stored beside it.
    pub async fn image(&self, file: File, limits: ImageLimits) -> Result<DerivedImage, ProcessError> {
        match self.run(Job::Derive(limits), file).await? {
            Output::Derived(image) => Ok(image),
            Output::Grey(_) => Err(another_job()),
        }
    }

    /// The pixels of a picture, scaled down so that the longest side has at most `max_side` pixels.
    pub async fn grey(&self, file: File, max_side: u32) -> Result<GreyImage, ProcessError> {
        match self.run(Job::Grey(max_side), file).await? {
            Output::Grey(image) => Ok(image),
            Output::Derived(_) => Err(another_job()),
        }
    }

    async fn run(&self, job: Job, file: File) -> Result<Output, ProcessError> {
        let children = self.children.clone();
        self.slots.run(|abandoned| children.run(job, file, abandoned)).await
    }
}

/// Whether it is HEIC or AVIF, for which the child runs a program.
fn takes_a_program(file: &File) -> bool {
    let mut beginning = [0; 8];
    // A file that cannot be read is left to the child.
    file.read_exact_at(&mut beginning, 0).is_ok() && &beginning[4..] == b"ftyp"
}

fn another_job() -> ProcessError {
    ProcessError::Crashed("it answered another job".to_owned())
}

impl Children {
    async fn run(self: Arc<Self>, job: Job, file: File, abandoned: Abandoned) -> Result<Output, ProcessError> {
        let mut child = match takes_a_program(&file) {
            true => self.start_with_programs()?,
            false => self.take_idle().map_or_else(|| self.start(), Ok)?,
        };
        let reply = tokio::select! {
            reply = tokio::time::timeout(self.settings.picture.time, child.ask(&job, &file)) => match reply {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(error)) => Err(child.post_mortem(error).await),
                Err(_elapsed) => Err(ProcessError::TimedOut),
            },
            () = abandoned.wait() => Err(ProcessError::Internal(anyhow::anyhow!("the caller is gone"))),
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                child.end().await;
                return Err(error);
            }
        };
        if !reply.landlocked {
            self.without_landlock.call_once(|| {
                tracing::warn!(
                    "the kernel has no Landlock: only seccomp keeps processes that decode uploads from files"
                );
            });
        }
        self.keep(child).await;
        reply.outcome.map_err(|failed| match failed {
            Failed::Invalid(error) => ProcessError::Invalid(error),
            Failed::OutOfMemory => ProcessError::OutOfMemory,
            Failed::Internal(error) => ProcessError::Internal(anyhow::anyhow!(error)),
        })
    }

    fn start(&self) -> anyhow::Result<Child> {
        Child::start(self.command(&self.settings.picture), None)
    }

    fn start_with_programs(&self) -> anyhow::Result<Child> {
        let folder = tempfile::tempdir_in(&self.settings.spool).context("cannot create a folder for a conversion")?;
        let limits = Limits { file_size: MAX_CONVERTED, ..self.settings.picture };
        let mut command = self.command(&limits);
        command.arg("--folder").arg(folder.path()).env("TMPDIR", folder.path());
        // Each of its threads would reserve a part of the address space for its memory.
        command.env("MALLOC_ARENA_MAX", "1");
        command.envs(programs::path().map(|path| ("PATH", path)));
        Child::start(command, Some(folder))
    }

    fn command(&self, limits: &Limits) -> Command {
        let mut command = Command::new(&self.settings.program);
        command.arg("decode").args(limits.rights().to_args()).env_clear();
        command
    }

    fn take_idle(&self) -> Option<Child> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // One that ended in the meantime is left out.
        std::iter::from_fn(|| idle.pop())
            .find_map(|mut child| matches!(child.process.try_wait(), Ok(None)).then_some(child))
    }

    async fn keep(self: Arc<Self>, mut child: Child) {
        if child.folder.is_some() || child.resident().is_none_or(|resident| resident > MAX_RESIDENT) {
            return child.end().await;
        }
        child.idle_since = Instant::now();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        tokio::spawn(async move {
            let limit = self.settings.idle;
            tokio::time::sleep(limit).await;
            // Those that are dropped are killed, and the runtime waits for them.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).retain(|child| child.idle_since.elapsed() < limit);
        });
    }
}

impl Child {
    fn start(mut command: Command, folder: Option<TempDir>) -> anyhow::Result<Self> {
        let (ours, its) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        command.stdin(OwnedFd::from(its)).stdout(Stdio::null()).stderr(Stdio::piped());
        // Its group has the programs that it runs.
        command.process_group(0).kill_on_drop(true);
        let process = command.spawn().context("cannot start a process that decodes pictures")?;
        Ok(Self { process, socket: UnixStream::from_std(ours)?, idle_since: Instant::now(), folder })
    }

    async fn ask(&mut self, job: &Job, file: &File) -> anyhow::Result<Reply> {
        wire::send(&self.socket, job, file).await?;
        wire::receive_reply(&mut self.socket, file.metadata()?.len()).await
    }

    /// Why there was no reply.
    async fn post_mortem(&mut self, error: anyhow::Error) -> ProcessError {
        let cause = async {
            let status = self.process.wait().await.map_err(anyhow::Error::from)?;
            Ok(cause_of_death(status, &read_last_words(self.process.stderr.take()).await?))
        };
        match tokio::time::timeout(END_TIMEOUT, cause).await {
            Ok(cause) => cause.unwrap_or_else(|error| error),
            Err(_elapsed) => ProcessError::Crashed(format!("{error:#}")),
        }
    }

    /// Resident memory, in KiB.
    fn resident(&self) -> Option<u64> {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// Returns when the process is gone.
    async fn end(mut self) {
        // Both fail if the process is gone already.
        end_group(&self.process);
        self.process.kill().await.ok();
    }
}
