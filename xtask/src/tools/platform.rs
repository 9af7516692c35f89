//! The operating system: users, system folders, disk space, processes.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::geteuid;

use crate::fs::Owner;
use crate::tools::cmd::Cmd;

/// The longest path of a Unix socket in bytes: `sun_path` without its final zero (unix(7); sys/un.h of macOS).
pub const SOCKET_PATH_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// A UTF-8 locale that every installation of this system has.
pub const UTF8_LOCALE: &str = if cfg!(target_os = "macos") { "en_US.UTF-8" } else { "C.UTF-8" };

/// The folder of system services' data (Filesystem Hierarchy Standard 5.8).
pub const SYSTEM_STATE: &str = if cfg!(target_os = "macos") { "/usr/local/var" } else { "/var/lib" };

/// The folder of system caches (Filesystem Hierarchy Standard 5.5).
pub const SYSTEM_CACHE: &str = if cfg!(target_os = "macos") { "/Library/Caches" } else { "/var/cache" };

/// The program that opens an address in the user's browser (xdg-utils; open(1) of macOS).
pub const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// An environment variable that describes this machine. An empty one counts as unset.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, or the number if it has no name, as in containers.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's primary group.
    pub gid: u32,
}

impl User {
    /// The user's numbers.
    pub fn owner(&self) -> Owner {
        Owner { uid: self.uid, gid: self.gid }
    }
}

/// This program's file. On Linux it can be read after cargo has put another build in its place, as the first command of a stack
/// does.
pub fn own_program() -> Result<Utf8PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(Utf8PathBuf::from("/proc/self/exe"));
    }
    Ok(Utf8PathBuf::try_from(std::env::current_exe().context("find this program")?)?)
}

/// A file without a name that ends with its last user. On Linux it is in memory, so a full disk does not matter.
pub fn memory_file() -> Result<std::fs::File> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::memfd_create("output", rustix::fs::MemfdFlags::CLOEXEC)?.into());
    #[cfg(not(target_os = "linux"))]
    return Ok(tempfile::tempfile()?);
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The effective user of this process.
pub fn current_user() -> User {
    let (uid, gid) = (geteuid().as_raw(), rustix::process::getegid().as_raw());
    User { name: user_name(uid), uid, gid }
}

/// The user with this name, if there is one. Directory services know more users than the passwd file, and are asked too.
pub fn find_user(name: &str) -> Result<Option<User>> {
    let found = nix::unistd::User::from_name(name).with_context(|| format!("look up the user {name}"))?;
    Ok(found.map(|user| User { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

/// Whether a user with this number has an account.
pub fn has_account(uid: u32) -> Result<bool> {
    Ok(nix::unistd::User::from_uid(uid.into()).with_context(|| format!("look up the user {uid}"))?.is_some())
}

/// The name of a user, or the number if it has none.
pub fn user_name(uid: u32) -> String {
    let found = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

/// Finds a program on the `PATH`, or in system folders that are often missing there.
pub fn find_program(name: &str) -> Option<Utf8PathBuf> {
    path_folders().into_iter().map(|folder| folder.join(name)).find(|file| is_executable(file))
}

/// The path of a program on the `PATH`, where it is one name. With a path and no user, the standard library starts a program without a
/// copy of this process's memory, which takes less than half as long.
pub fn program_path(name: &str) -> Option<Utf8PathBuf> {
    if name.contains('/') {
        return None;
    }
    own_path_folders().map(|folder| folder.join(name)).find(|file| is_executable(file))
}

/// The folders of the `PATH` in their order, then `/usr/local/bin`, `/usr/sbin` and `/sbin`.
pub fn path_folders() -> Vec<Utf8PathBuf> {
    own_path_folders().chain(["/usr/local/bin", "/usr/sbin", "/sbin"].map(Utf8PathBuf::from)).collect()
}

fn own_path_folders() -> impl Iterator<Item = Utf8PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    folders
        .into_iter()
        .filter_map(|folder| Utf8PathBuf::from_path_buf(folder).ok())
        .filter(|folder| folder.is_absolute())
}

/// Whether this is a file with an execute bit.
pub fn is_executable(file: &Utf8Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The toolkit's cache: `$XDG_CACHE_HOME/xtask` or `~/.cache/xtask`. For root it is `/var/cache/xtask`, because other users, which
/// have no access to root's home, run the programs in it.
pub fn cache_folder() -> Result<Utf8PathBuf> {
    if is_root() {
        return Ok(Utf8Path::new(SYSTEM_CACHE).join("xtask"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let Some(cache) = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache"))) else {
        bail!("neither XDG_CACHE_HOME nor HOME is set to a path; set one of them");
    };
    Ok(Utf8PathBuf::try_from(cache)?.join("xtask"))
}

/// The free disk space in bytes at this path, which need not exist.
pub fn free_bytes(path: &Utf8Path) -> Result<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Utf8Path::new("."));
    let disk = rustix::fs::statvfs(existing.as_std_path())
        .with_context(|| format!("read the free disk space at {existing}"))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The command line of a process, with spaces between the words. `None` if there is no such process, or the system hides it.
pub async fn command_line(pid: i32) -> Option<String> {
    let words = if cfg!(target_os = "linux") {
        String::from_utf8_lossy(&fs_err::read(format!("/proc/{pid}/cmdline")).ok()?).replace('\0', " ")
    } else {
        Cmd::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).capture().await.ok()?
    };
    Some(words.trim().to_owned()).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_name_and_number() {
        let me = current_user();
        assert_eq!(find_user(&me.name).unwrap(), Some(me));
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(u32::MAX - 7), (u32::MAX - 7).to_string());
        assert_eq!(find_user("nobody-of-this-name").unwrap(), None);
    }

    #[test]
    fn free_space_is_read_at_a_path_that_does_not_exist() {
        let free = free_bytes(Utf8Path::new("/tmp/not/yet/there")).unwrap();
        assert!(free > 0, "{free}");
    }

    #[tokio::test]
    async fn the_command_line_of_a_process_is_read() {
        let own = command_line(std::process::id().cast_signed()).await.unwrap();
        assert!(own.starts_with(&std::env::args().next().unwrap()), "{own}");
        assert_eq!(command_line(i32::MAX).await, None);
    }

    #[test]
    fn programs_are_found() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-anywhere").is_none());
    }
}
