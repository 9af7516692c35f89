//! One process of the service, from its start to its end.

use std::net::TcpListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use command_fds::{CommandFdExt as _, FdMapping};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use secrecy::SecretString;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::inherited;
use super::output::{Ring, Sink, follow};
use super::protocol::{Ended, Exit, InstanceSpec, Role};
use super::shared::Shared;
use crate::fs::Owner;
use crate::secrets::has_password;

/// The first descriptor of socket activation.
const LISTEN_FD: i32 = 3;

/// How long to read the output of a process after its end.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// A process of the service. Dropping it stops the process.
pub(super) struct Instance {
    pub(super) spec: Arc<InstanceSpec>,
    pub(super) pid: u32,
    pub(super) started: Instant,
    stop: mpsc::UnboundedSender<Duration>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Instance {
    /// Starts a process that listens on this socket. `role` names it in the log.
    pub(super) fn start(
        shared: &Rc<Shared>,
        spec: Arc<InstanceSpec>,
        listener: TcpListener,
        role: Role,
    ) -> Result<Self> {
        if shared.stopping.is_raised() {
            bail!("the supervisor is stopping");
        }
        // A setting of an early release may have a password that is not declared as secret.
        let passwords = spec.env.values().filter(|value| has_password(value));
        for value in spec.secrets.values().chain(passwords) {
            shared.redactor.learn_value(&SecretString::from(value.as_str()));
        }
        let mut child = command(shared, &spec, listener)?
            .spawn()
            .with_context(|| format!("start {} of {} in {}", spec.program, spec.version, spec.dir))?;
        let pid = child.id().context("the process ended while it was started")?;
        if let Err(error) = shared.leftovers.borrow_mut().add(pid) {
            shared.log(format_args!("cannot record the process {pid}: {error:#}"));
        }
        shared.log(format_args!("{} {}: started as process {pid}", spec.id, spec.version));

        let sink = Sink {
            label: label(&spec.version, role),
            ring: Ring::default(),
            log: Rc::clone(&shared.service_log),
            redactor: shared.redactor.clone(),
        };
        sink.note(format_args!("started as process {pid}"));
        let mut output = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            output.spawn_local(follow(stdout, sink.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            output.spawn_local(follow(stderr, sink.clone()));
        }

        let (stop, stop_asked) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        let (shared, own_spec) = (Rc::clone(shared), Arc::clone(&spec));
        tokio::task::spawn_local(async move {
            let ended = wait(child, pid, stop_asked, own_spec.stop_timeout, output).await;
            if let Err(error) = shared.leftovers.borrow_mut().remove(pid) {
                shared.log(format_args!("cannot record the end of the process {pid}: {error:#}"));
            }
            shared.log(format_args!("{} {}: process {pid} {ended}", own_spec.id, own_spec.version));
            sink.note(format_args!("process {pid} {ended}"));
            exited.send_replace(Some(exit_of(&own_spec, pid, ended, &sink.ring)));
        });
        Ok(Self { spec, pid, started: Instant::now(), stop, exit })
    }

    /// Resolves when it has ended. Cancel-safe.
    pub(super) async fn exited(&self) -> Exit {
        let exit = self.exit.clone().wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
        let unknown = || Ended { at: Timestamp::now(), code: None, signal: None, overdue: false };
        exit.unwrap_or_else(|| exit_of(&self.spec, self.pid, unknown(), &Ring::default()))
    }

    /// Whether it has ended.
    pub(super) fn has_exited(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Sends SIGTERM, and SIGKILL after `timeout`.
    pub(super) async fn stop(&self, timeout: Duration) -> Exit {
        // Fails only when it has ended.
        self.stop.send(timeout).ok();
        self.exited().await
    }
}

/// What each line of a process begins with in the log. A candidate is told from the release that serves.
fn label(version: &str, role: Role) -> String {
    if role == Role::Candidate { format!("{version} candidate | ") } else { format!("{version} | ") }
}

fn command(shared: &Shared, spec: &InstanceSpec, listener: TcpListener) -> Result<Command> {
    let mut command = std::process::Command::new(&shared.program);
    command.args(["supervise-exec", "--parent", &shared.about.pid.to_string()]);
    if let Some(Owner { uid, gid }) = spec.user {
        command.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
    }
    command.arg("--").arg(&spec.program).args(&spec.args).current_dir(&spec.dir);
    command.env_clear().envs(inherited());
    command.envs(&spec.env).envs(&spec.secrets).env("LISTEN_FDS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its own process group, so that processes it starts can be killed with it.
    command.process_group(0);
    command.fd_mappings(vec![FdMapping { parent_fd: listener.into(), child_fd: LISTEN_FD }])?;
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    Ok(command)
}

/// Waits for the end of a process. Stops it on request, or when its [`Instance`] is dropped.
async fn wait(
    mut child: Child,
    pid: u32,
    mut stop: mpsc::UnboundedReceiver<Duration>,
    stop_timeout: Duration,
    mut output: JoinSet<()>,
) -> Ended {
    let group = Pid::from_raw(pid.cast_signed());
    let mut overdue = false;
    let status = tokio::select! {
        status = child.wait() => status,
        asked = stop.recv() => {
            // The number is still this process's: its status has not been read yet. If it has just ended, the signal fails.
            group.and_then(|process| kill_process(process, Signal::TERM).ok());
            match timeout(asked.unwrap_or(stop_timeout), child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    overdue = true;
                    group.and_then(|group| kill_process_group(group, Signal::KILL).ok());
                    child.wait().await
                }
            }
        }
    };
    // Kills processes that it left in its group.
    group.and_then(|group| kill_process_group(group, Signal::KILL).ok());
    timeout(OUTPUT_TIMEOUT, async { while output.join_next().await.is_some() {} }).await.ok();
    let status: Option<ExitStatus> = status.ok();
    Ended {
        at: Timestamp::now(),
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        overdue,
    }
}

fn exit_of(spec: &InstanceSpec, pid: u32, ended: Ended, ring: &Ring) -> Exit {
    Exit { id: spec.id.clone(), version: spec.version.clone(), pid, ended, tail: ring.tail() }
}
