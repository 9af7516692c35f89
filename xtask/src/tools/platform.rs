//! What differs between machines: users, folders of the system, room on disk, processes.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::geteuid;

use crate::tools::cmd::Cmd;

/// Bytes that the path of a Unix socket may have: `sun_path` without its closing zero (unix(7); sys/un.h of macOS).
pub const SOCKET_PATH_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// A locale whose characters are Unicode's and that every installation of this system has.
pub const UTF8_LOCALE: &str = if cfg!(target_os = "macos") { "en_US.UTF-8" } else { "C.UTF-8" };

/// The folder under which root keeps what its services store (Filesystem Hierarchy Standard 5.8).
pub const SYSTEM_STATE: &str = if cfg!(target_os = "macos") { "/usr/local/var" } else { "/var/lib" };

/// The folder under which root keeps what can be fetched again (Filesystem Hierarchy Standard 5.5).
pub const SYSTEM_CACHE: &str = if cfg!(target_os = "macos") { "/Library/Caches" } else { "/var/cache" };

/// A variable of the environment that says where things of this machine are; empty is unset.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, or the number where the number has no name (in containers).
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's own group.
    pub gid: u32,
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The user whose rights this process has.
pub async fn current_user() -> User {
    let (uid, gid) = (geteuid().as_raw(), rustix::process::getegid().as_raw());
    User { name: user_name(uid).await, uid, gid }
}

/// The user of this name, if there is one.
pub async fn find_user(name: &str) -> Result<Option<User>> {
    // `id` asks whatever directory the machine uses; the passwd file alone does not know everybody.
    let Ok(said) = Cmd::new("id").arg(name).capture().await else { return Ok(None) };
    // `uid=101(postgres) gid=104(postgres) groups=…`
    let number = |label: &str| {
        let rest = said.split_whitespace().find_map(|word| word.strip_prefix(label))?;
        rest.split('(').next()?.parse().ok()
    };
    let unclear = || format!("`id {name}` says {said:?}");
    let (uid, gid) = (number("uid=").with_context(unclear)?, number("gid=").with_context(unclear)?);
    Ok(Some(User { name: name.to_owned(), uid, gid }))
}

/// The name of a user, or the number where it has none.
pub async fn user_name(uid: u32) -> String {
    Cmd::new("id").args(["-un", &uid.to_string()]).capture().await.unwrap_or_else(|_| uid.to_string())
}

/// Where a program is: on the `PATH`, or in the folders of the system that an ordinary user's `PATH` often lacks.
pub fn find_program(name: &str) -> Option<Utf8PathBuf> {
    path_folders().into_iter().map(|folder| folder.join(name)).find(|file| is_executable(file))
}

/// The folders of the `PATH` in their order, then `/usr/local/bin`, `/usr/sbin` and `/sbin`.
pub fn path_folders() -> Vec<Utf8PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path).filter_map(|folder| Utf8PathBuf::from_path_buf(folder).ok());
    own.filter(|folder| folder.is_absolute())
        .chain(["/usr/local/bin", "/usr/sbin", "/sbin"].map(Utf8PathBuf::from))
        .collect()
}

/// Whether this is a file with an execute bit.
pub fn is_executable(file: &Utf8Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The toolkit's folder for what can be fetched again: `$XDG_CACHE_HOME/xtask` or `~/.cache/xtask`; as root
/// `/var/cache/xtask`, as the programs in it also run as users who may not enter root's home.
pub fn cache_folder() -> Result<Utf8PathBuf> {
    if is_root() {
        return Ok(Utf8Path::new(SYSTEM_CACHE).join("xtask"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let Some(cache) = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache"))) else {
        bail!("neither XDG_CACHE_HOME nor HOME names a folder to cache in; set one of them");
    };
    Ok(Utf8PathBuf::try_from(cache)?.join("xtask"))
}

/// Bytes that an ordinary user can still write where this path is or will be.
pub fn free_bytes(path: &Utf8Path) -> Result<u64> {
    let there = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Utf8Path::new("."));
    let disk = rustix::fs::statvfs(there.as_std_path()).with_context(|| format!("measure the disk of {there}"))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The command line of a process, its words apart by blanks; `None` when there is no such process or it is not shown.
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

    #[tokio::test]
    async fn users_are_known_by_name_and_number() {
        let me = current_user().await;
        assert_eq!(find_user(&me.name).await.unwrap().map(|user| user.uid), Some(me.uid));
        assert_eq!(user_name(0).await, "root");
        assert_eq!(find_user("nobody-of-this-name").await.unwrap(), None);
    }

    #[test]
    fn room_is_measured_where_nothing_is_yet() {
        let room = free_bytes(Utf8Path::new("/tmp/not/yet/there")).unwrap();
        assert!(room > 0, "{room}");
    }

    #[tokio::test]
    async fn a_process_tells_its_command_line() {
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
