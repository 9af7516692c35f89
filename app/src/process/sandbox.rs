//! What a process gives up before it touches an upload.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context as _;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
    path_beneath_rules,
};
use rustix::{
    process::{Resource, Rlimit, Signal, getppid, nice, set_parent_process_death_signal, setrlimit},
    time::{ClockId, clock_gettime},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::Limits;

/// Descriptors that a process may have open.
const MAX_OPEN_FILES: u64 = 64;

/// Limits on a process, as the service passes them to its own program.
#[derive(Clone, Debug, clap::Args)]
pub struct Rights {
    /// The service's process id: the process ends with the service
    #[arg(long)]
    parent: i32,
    /// Address space, in bytes
    #[arg(long)]
    memory: u64,
    /// Processor time, in milliseconds; for each picture, if the process decodes several
    #[arg(long)]
    processor_time: u64,
    /// Of each file that it writes, in bytes
    #[arg(long)]
    file_size: u64,
    /// Leave the processors to others
    #[arg(long)]
    background: bool,
}

impl Rights {
    pub fn new(limits: &Limits) -> Self {
        let Limits { memory, file_size, background, .. } = *limits;
        let parent = rustix::process::getpid().as_raw_pid();
        // No limit has 500 million years.
        Self { parent, memory, processor_time: limits.processor_time.as_millis() as u64, file_size, background }
    }

    pub fn to_args(&self) -> Vec<String> {
        let Self { parent, memory, processor_time, file_size, background } = self;
        let mut args = vec![
            format!("--parent={parent}"),
            format!("--memory={memory}"),
            format!("--processor-time={processor_time}"),
            format!("--file-size={file_size}"),
        ];
        args.extend(background.then(|| "--background".to_owned()));
        args
    }

    /// Gives up all that these limits exclude, for good.
    pub fn limit(&self) -> anyhow::Result<()> {
        // It is sent at the end of the thread that started this process: a worker of the service's runtime, which ends with it.
        set_parent_process_death_signal(Some(Signal::KILL)).context("cannot be tied to the service")?;
        // The service may have ended before.
        let parent = getppid().map(|parent| parent.as_raw_pid());
        anyhow::ensure!(parent == Some(self.parent), "the service has ended");
        // The kernel kills this process before the service, if memory runs out. Without /proc it decides alone.
        fs_err::write("/proc/self/oom_score_adj", "1000").ok();
        if self.background {
            // A tenth of what others get. The lowest priority would get nothing on a busy machine until its time is over.
            nice(10).context("cannot lower the priority")?;
        }
        limit(Resource::As, self.memory)?;
        limit(Resource::Core, 0)?;
        limit(Resource::Fsize, self.file_size)?;
        limit(Resource::Nofile, MAX_OPEN_FILES)?;
        self.allow_processor_time()
    }

    /// Allows the processor time once more, from now on. The kernel counts in whole seconds.
    pub fn allow_processor_time(&self) -> anyhow::Result<()> {
        let used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))?;
        let end = used + Duration::from_millis(self.processor_time);
        let soft = end.as_secs() + u64::from(end.subsec_nanos() > 0);
        setrlimit(Resource::Cpu, Rlimit { current: Some(soft), maximum: None }).context("cannot limit processor time")
    }
}

fn limit(resource: Resource, value: u64) -> anyhow::Result<()> {
    let rlimit = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(resource, rlimit).with_context(|| format!("cannot limit {resource:?}"))
}

/// Where programs and their libraries are. What a machine does not have of these is left out.
const PROGRAMS: [&str; 6] = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null"];

/// Files and folders, with what is below them, to which a process keeps its access. By default there are none.
#[derive(Default)]
pub struct Access {
    execute: Vec<PathBuf>,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl Access {
    /// To the system's programs and libraries.
    pub fn to_programs() -> Self {
        Self { execute: PROGRAMS.map(PathBuf::from).into(), ..Self::default() }
    }

    pub fn execute(mut self, path: impl Into<PathBuf>) -> Self {
        self.execute.push(path.into());
        self
    }

    pub fn read(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.read.extend(paths);
        self
    }

    pub fn write(mut self, path: impl Into<PathBuf>) -> Self {
        self.write.push(path.into());
        self
    }
}

/// Takes away, by Landlock, the network and all files but those given. Also forbids new privileges. Returns false if the
/// kernel has no Landlock.
pub fn restrict_files(access: &Access) -> anyhow::Result<bool> {
    // What an older kernel does not know is left out.
    let abi = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::MakeDir;
    let remove = AccessFs::RemoveFile | AccessFs::RemoveDir;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(&access.execute, read | AccessFs::Execute))?
        .add_rules(path_beneath_rules(&access.read, read))?
        .add_rules(path_beneath_rules(&access.write, read | write | remove))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Has the kernel refuse sockets. For programs that open files, and whose system calls differ from version to version.
pub fn refuse_sockets() -> anyhow::Result<()> {
    let rules = [libc::SYS_socket, libc::SYS_io_uring_setup, libc::SYS_ptrace].map(|call| (call, Vec::new()));
    apply(rules.into(), SeccompAction::Allow, SeccompAction::Errno(libc::EACCES as u32))
}

/// Has the kernel refuse all system calls but those that a decoder makes once it has its file: reading and writing open
/// descriptors, memory, threads, and the end. So it opens no file and no socket, starts no program and no process, and
/// reaches no other process. A refused call fails as if the kernel did not have it, for which libraries are prepared.
pub fn refuse_system_calls() -> anyhow::Result<()> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let own = u64::try_from(rustix::process::getpid().as_raw_pid())?;
    let thread = libc::CLONE_THREAD as u64;
    let executable = libc::PROT_EXEC as u64;
    for (call, argument, compared, value) in [
        // Without this flag it would be a process. For `clone3`, whose flags a filter cannot see, glibc then takes `clone`.
        (libc::SYS_clone, 0, SeccompCmpOp::MaskedEq(thread), thread),
        (libc::SYS_mmap, 2, SeccompCmpOp::MaskedEq(executable), 0),
        (libc::SYS_mprotect, 2, SeccompCmpOp::MaskedEq(executable), 0),
        (libc::SYS_prlimit64, 0, SeccompCmpOp::Eq, 0),
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, own),
    ] {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compared, value)?;
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    apply(rules, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow)
}

fn apply(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> anyhow::Result<()> {
    let filter = SeccompFilter::new(rules, otherwise, matching, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program).context("cannot refuse system calls")
}

/// With any arguments.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_fcntl,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Command};

    use super::*;

    /// The rights that are given up are those of one thread and of what it starts.
    fn in_a_thread(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn landlock_leaves_the_given_files() {
        in_a_thread(|| {
            let folder = tempfile::tempdir().unwrap();
            let [readable, writable, other] = ["readable", "writable", "other"].map(|name| folder.path().join(name));
            for folder in [&readable, &writable, &other] {
                fs_err::create_dir(folder).unwrap();
                fs_err::write(folder.join("file"), "text").unwrap();
            }
            if !restrict_files(&Access::to_programs().read([readable.clone()]).write(&writable)).unwrap() {
                eprintln!("skipped: the kernel has no Landlock");
                return;
            }
            assert_eq!(fs_err::read_to_string(readable.join("file")).unwrap(), "text");
            fs_err::write(writable.join("new"), "text").unwrap();
            for (case, refused) in [
                ("read another file", fs_err::read(other.join("file")).map(drop)),
                ("write a file to read", fs_err::write(readable.join("file"), "")),
                ("delete a file to read", fs_err::remove_file(readable.join("file"))),
                ("list another folder", fs_err::read_dir(&other).map(drop)),
            ] {
                assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied, "{case}");
            }
            let shown = Command::new("cat").arg(readable.join("file")).output().unwrap();
            assert_eq!(shown.stdout, b"text");
            let shown = Command::new("cat").arg(other.join("file")).output().unwrap();
            assert!(!shown.status.success());
        });
    }

    #[test]
    fn a_decoder_opens_nothing_and_starts_nothing_but_threads() {
        in_a_thread(|| {
            let file = tempfile::tempfile().unwrap();
            refuse_system_calls().unwrap();
            assert!(fs_err::read("/proc/self/status").is_err(), "a file");
            assert!(TcpListener::bind("127.0.0.1:0").is_err(), "a socket");
            assert!(Command::new("true").status().is_err(), "a program");
            assert!(rustix::process::kill_process(rustix::process::getpid(), Signal::CONT).is_err(), "a signal");
            assert_eq!(file.metadata().unwrap().len(), 0);
            assert_eq!(std::thread::spawn(|| vec![1_u8; 10 << 20].len()).join().unwrap(), 10 << 20);
        });
    }

    #[test]
    fn programs_have_no_sockets() {
        in_a_thread(|| {
            refuse_sockets().unwrap();
            assert!(TcpListener::bind("127.0.0.1:0").is_err());
            assert!(Command::new("true").status().unwrap().success());
        });
    }
}
