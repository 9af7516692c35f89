//! A process of another user that tries everything: to read, write and lock files, to list and fill folders, to connect to
//! sockets, and to look into processes. It is a test of this binary that returns at once unless its variables are set.

use std::fs::TryLockError;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::Project;

use crate::users::walk;

/// The file with what to try, a path or the number of a process in each line.
const TARGETS: &str = "INTRUDER_TARGETS";

/// What begins a line that tells what worked.
const WORKED: &str = "WORKED: ";

/// A user of this machine and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// The program and a file that every user may read, in a folder that every user may pass.
pub struct Intruder {
    folder: PathBuf,
}

impl Intruder {
    pub fn new(project: &Project) -> Self {
        let folder = project.root.join("target/intruder");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::copy(std::env::current_exe().unwrap(), folder.join("program")).unwrap();
        fs_err::write(folder.join("control"), "for all").unwrap();
        for (path, mode) in [("program", 0o755), ("control", 0o644), ("", 0o755), ("..", 0o755)] {
            fs_err::set_permissions(folder.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        Self { folder }
    }

    /// What every user can do, by which a test sees that this one tried.
    pub fn controls(&self) -> [String; 2] {
        ["reads", "locks"].map(|what| format!("{what} {}", self.folder.join("control").display()))
    }

    /// What a user can do to the files and processes of a project's environment.
    pub fn tries(&self, project: &Project, user: User) -> Vec<String> {
        let mut targets = vec![self.folder.join("control").display().to_string()];
        targets.extend(walk(&project.root.join(".deploy")).iter().map(|path| path.display().to_string()));
        for process in project.processes() {
            targets.push(format!("{} {}", process.pid, process.command));
        }
        let list = self.folder.join("targets");
        fs_err::write(&list, targets.join("\n")).unwrap();
        fs_err::set_permissions(&list, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut command = Command::new(self.folder.join("program"));
        command.args(["--exact", "intruder::intrudes", "--nocapture"]).env(TARGETS, &list).current_dir("/");
        let output = command.uid(user.uid).gid(user.gid).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.lines().filter_map(|line| Some(line.split_once(WORKED)?.1.to_owned())).collect()
    }
}

#[test]
fn intrudes() {
    let Ok(targets) = std::env::var(TARGETS) else { return };
    for target in fs_err::read_to_string(targets).unwrap().lines() {
        if target.starts_with('/') {
            try_path(Path::new(target));
        } else if let Some((pid, command)) = target.split_once(' ') {
            try_process(pid, command);
        }
    }
}

fn try_path(path: &Path) {
    let worked = |what: &str| println!("{WORKED}{what} {}", path.display());
    if let Ok(file) = std::fs::File::open(path) {
        if file.metadata().unwrap().is_file() {
            worked("reads");
            if !matches!(file.try_lock_shared(), Err(TryLockError::Error(_))) {
                worked("locks");
            }
        } else if std::fs::read_dir(path).is_ok() {
            worked("lists");
        }
    }
    if std::fs::OpenOptions::new().append(true).open(path).is_ok() {
        worked("writes");
    }
    let planted = path.join("planted-by-intruder");
    if std::os::unix::fs::symlink("/etc/passwd", &planted).is_ok() {
        worked("fills");
        fs_err::remove_file(planted).unwrap();
    }
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
        && UnixStream::connect(path).is_ok()
    {
        worked("connects to");
    }
}

fn try_process(pid: &str, command: &str) {
    let about = PathBuf::from(format!("/proc/{pid}"));
    // By the name of the program: what an allowed process is told by.
    let name = if command.contains("bin/fixture") {
        "bin/fixture"
    } else if command.contains("postgres") {
        "postgres"
    } else {
        command
    };
    let worked = |what: &str| println!("{WORKED}{what} process {name}");
    for file in ["environ", "mem", "maps", "auxv"] {
        // `maps` opens for every user, and is empty then.
        let mut byte = [0];
        let read = std::fs::File::open(about.join(file)).and_then(|mut open| std::io::Read::read(&mut open, &mut byte));
        if read.is_ok_and(|length| length > 0) || file == "mem" && std::fs::File::open(about.join(file)).is_ok() {
            worked(&format!("reads {file} of"));
        }
    }
    for link in ["cwd", "exe", "root"] {
        if std::fs::read_link(about.join(link)).is_ok() {
            worked(&format!("follows {link} of"));
        }
    }
    if std::fs::read_dir(about.join("fd")).is_ok() {
        worked("lists descriptors of");
    }
}
