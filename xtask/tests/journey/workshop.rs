//! What all scenarios of one run share: a folder, the first build, the ordinary user's toolchain. It is deleted when the
//! run ends, even by SIGKILL.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use fs_err::os::unix::fs::chown;

/// Waits until its standard input is closed, which happens however the test's process ends. Then kills the processes
/// that still run below the folder, and deletes the folder and PostgreSQL's data for it elsewhere.
const JANITOR: &str = r#"
cat > /dev/null
for process in /proc/[0-9]*; do
    if tr '\0' ' ' < "$process/cmdline" | grep -qF -- "$1/" || readlink "$process/cwd" | grep -qF -- "$1/"; then
        test "${process#/proc/}" = $$ || kill -9 "${process#/proc/}"
    fi
done 2> /dev/null
find "$1" -path '*/.deploy/local/postgres' -type l 2> /dev/null | while read -r link; do
    home=$(readlink "$link")
    pid=$(head -n 1 "$home/data/postmaster.pid" 2> /dev/null) && kill -9 "$pid" 2> /dev/null
    rm -rf "$home"
done
rm -rf "$1"
"#;

/// Replaces files by copies with the same times that every user may read.
const OPENED: &str =
    r#"for file; do cp -p "$file" "$file.open" && chmod a+r "$file.open" && mv "$file.open" "$file" || exit; done"#;

pub struct Workshop {
    pub folder: PathBuf,
    build: Mutex<Build>,
    build_changed: Condvar,
    _janitor: Child,
}

/// The first build: all scenarios but one begin with a copy of it.
#[derive(Clone, Copy, PartialEq)]
enum Build {
    Missing,
    Begun,
    Done,
}

impl Workshop {
    pub fn of_this_run() -> &'static Self {
        static WORKSHOP: OnceLock<Workshop> = OnceLock::new();
        WORKSHOP.get_or_init(|| {
            let folder = tempfile::Builder::new().prefix("journey-").tempdir().unwrap().keep();
            let folder = fs_err::canonicalize(folder).unwrap();
            // The ordinary user and PostgreSQL's user need access.
            open_to_all(&folder);
            let mut janitor = Command::new("sh");
            janitor.args(["-c", JANITOR, "janitor"]).arg(&folder).current_dir("/").stdin(Stdio::piped());
            // Ctrl-C at a terminal must only reach the test.
            std::os::unix::process::CommandExt::process_group(&mut janitor, 0);
            let janitor = janitor.stdout(Stdio::null()).spawn().unwrap();
            let build = if kept(&folder, "target").exists() { Build::Done } else { Build::Missing };
            Self { folder, build: Mutex::new(build), build_changed: Condvar::new(), _janitor: janitor }
        })
    }

    /// A copy of the first build as a target folder at `to`; none for the scenario that has to make that build. Waits while
    /// another scenario makes it.
    pub fn copy_build(&self, to: &Path) -> Option<PathBuf> {
        let build = self.build.lock().unwrap_or_else(PoisonError::into_inner);
        let mut build = self
            .build_changed
            .wait_while(build, |build| *build == Build::Begun)
            .unwrap_or_else(PoisonError::into_inner);
        if *build == Build::Missing {
            *build = Build::Begun;
            return None;
        }
        run(Command::new("cp").arg("-a").arg(kept(&self.folder, "target")).arg(to));
        Some(to.to_owned())
    }

    /// Keeps a copy of this target folder for the other scenarios.
    pub fn share_build(&self, target: &Path) {
        run(Command::new("cp").arg("-a").arg(target).arg(kept(&self.folder, "target")));
        self.change(Build::Done);
    }

    /// Another scenario has to make the build, because the one that began it has failed.
    pub fn give_up_build(&self) {
        self.change(Build::Missing);
    }

    fn change(&self, to: Build) {
        *self.build.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.build_changed.notify_all();
    }

    /// A home with a toolchain for the user `nobody`, which has no access to root's home. Root uses its cargo registry too,
    /// because cargo rebuilds packages whose path differs.
    pub fn home(&self) -> PathBuf {
        static HOME: OnceLock<PathBuf> = OnceLock::new();
        HOME.get_or_init(|| make_home(&kept(&self.folder, "home"))).clone()
    }
}

/// The user id and group id of `nobody`.
pub fn nobody() -> (u32, u32) {
    let number = |flag| said(Command::new("id").args([flag, "nobody"])).parse().unwrap();
    (number("-u"), number("-g"))
}

/// The toolchain in `toolchain`, cargo's registry in `.cargo`. Both are hard links if possible: the files do not change,
/// and the original folders stay inaccessible.
fn make_home(home: &Path) -> PathBuf {
    if home.exists() {
        return home.to_owned();
    }
    let user = nobody();
    fs_err::create_dir_all(home.join(".cargo/registry")).unwrap();
    let sysroot = said(Command::new("rustc").args(["--print", "sysroot"]));
    link_or_copy(Path::new(&sysroot), &home.join("toolchain"));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"))).unwrap();
    for name in ["registry/index", "registry/cache", "registry/src", "config.toml"] {
        if cargo.join(name).exists() {
            link_or_copy(&cargo.join(name), &home.join(".cargo").join(name));
        }
    }
    // Files of packages that only their owner may read are copied.
    run(Command::new("find")
        .arg(home)
        .args(["-type", "f", "!", "-perm", "-004", "-exec", "sh", "-c", OPENED, "sh", "{}", "+"]));
    // Only the folders: the files are hard links to the originals.
    for folder in [home.join(".cargo/registry"), home.join(".cargo")] {
        run(Command::new("find").arg(folder).args(["-type", "d", "-exec", "chown", &owner(user), "{}", "+"]));
    }
    chown(home, Some(user.0), Some(user.1)).unwrap();
    home.to_owned()
}

fn link_or_copy(from: &Path, to: &Path) {
    if !Command::new("cp").arg("-al").arg(from).arg(to).stderr(Stdio::null()).status().unwrap().success() {
        fs_err::remove_dir_all(to).ok();
        run(Command::new("cp").arg("-a").arg(from).arg(to));
    }
}

/// Changes the owner of everything in a folder. Needs root, and a folder without hard links to other files.
pub fn give(folder: &Path, user: (u32, u32)) {
    run(Command::new("chown").args(["-R", &owner(user)]).arg(folder));
}

/// A developer of this test sets `JOURNEY_KEEP` to a folder, so that the next run reuses the build.
fn kept(folder: &Path, name: &str) -> PathBuf {
    std::env::var_os("JOURNEY_KEEP").map_or_else(|| folder.to_owned(), PathBuf::from).join(name)
}

/// Lets every user enter and read a folder.
pub fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a program that must succeed.
pub fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The output of a program that must succeed.
pub fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn owner((uid, gid): (u32, u32)) -> String {
    format!("{uid}:{gid}")
}
