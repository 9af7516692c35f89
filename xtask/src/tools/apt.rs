//! Debian's package manager: what is missing, and how it gets onto this machine.

use anyhow::{Context as _, Result, bail};

use crate::tools::cmd::Cmd;
use crate::tools::platform;

/// Seconds to wait for another apt that holds a lock.
const LOCK_WAIT: u64 = 120;

/// How packages get onto this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// This process is root on a system with apt-get.
    Direct,
    /// `sudo` asks for no password.
    Sudo,
    /// Only a person can: what to type, or to look for where there is no apt-get.
    Tell(String),
}

impl Way {
    /// Looks how these packages (Debian's names) could be installed here. Changes nothing and asks nothing.
    pub async fn find(packages: &[&str]) -> Result<Self> {
        let names = packages.join(" ");
        if platform::find_program("apt-get").is_none() {
            return Ok(Self::Tell(format!("install what Debian calls {names}, with this system's package manager")));
        }
        if platform::is_root() {
            return Ok(Self::Direct);
        }
        let command = format!("apt-get install --no-install-recommends {names}");
        if platform::find_program("sudo").is_none() {
            return Ok(Self::Tell(format!("su -c '{command}'")));
        }
        if Cmd::new("sudo").args(["-n", "true"]).succeeds().await? {
            return Ok(Self::Sudo);
        }
        Ok(Self::Tell(format!("sudo {command}")))
    }

    /// Installs packages (Debian's names), newest versions of what is there already left alone, and hands apt's output
    /// to `on_line`. The lists of packages are fetched only where there are none or they turn out to be too old.
    /// Another apt's locks are waited for, up to two minutes each. Fails for [`Way::Tell`].
    pub async fn install(&self, packages: &[&str], mut on_line: impl FnMut(&str)) -> Result<()> {
        let install = ["install", "-y", "--no-install-recommends", "--no-upgrade"].iter().chain(packages).copied();
        let install: Vec<&str> = install.collect();
        if has_lists() {
            let Err(stale) = self.apt_get(&install, &mut on_line).await else { return Ok(()) };
            if !lists_are_old(&format!("{stale:#}")) {
                return Err(stale);
            }
        }
        self.apt_get(&["update"], &mut on_line).await.context("fetch apt's lists of packages")?;
        self.apt_get(&install, &mut on_line).await
    }

    /// `apt-get`, again while another apt holds a lock: its own time limit knows the lock of dpkg, not that of the lists.
    async fn apt_get(&self, args: &[&str], on_line: &mut impl FnMut(&str)) -> Result<()> {
        let command = match self {
            Self::Direct => Cmd::new("apt-get"),
            // sudo drops the environment, so the variables are set on its other side.
            Self::Sudo => Cmd::new("sudo").args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"]),
            Self::Tell(command) => bail!("packages are missing that only you can install; type: {command}"),
        };
        let command = command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        let command = command.arg("-o").arg(format!("DPkg::Lock::Timeout={LOCK_WAIT}")).args(args.iter().copied());
        let begin = std::time::Instant::now();
        loop {
            let Err(error) = command.run_lines(&mut *on_line).await else { return Ok(()) };
            if !is_locked(&format!("{error:#}")) || begin.elapsed().as_secs() >= LOCK_WAIT {
                return Err(error);
            }
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    }
}

/// Those of the programs that are neither on the `PATH` nor in the system's folders.
pub fn missing<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    programs.iter().copied().filter(|program| platform::find_program(program).is_none()).collect()
}

/// Whether apt has lists at all: a container's image usually comes without.
fn has_lists() -> bool {
    let Ok(mut entries) = fs_err::read_dir("/var/lib/apt/lists") else { return false };
    entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

/// apt-get(8) has one exit code for everything, so its words must do; `LC_ALL=C` keeps them English.
fn lists_are_old(error: &str) -> bool {
    ["Unable to locate package", "has no installation candidate", "Unable to fetch some archives", "404  Not Found"]
        .iter()
        .any(|sign| error.contains(sign))
}

fn is_locked(error: &str) -> bool {
    error.contains("Could not get lock") || error.contains("Unable to lock directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            missing(&["sh", "no-such-program-a", "env", "no-such-program-b"]),
            ["no-such-program-a", "no-such-program-b"]
        );
    }

    #[test]
    fn apts_words_are_understood() {
        let error = "`apt-get install` failed: exit status: 100. It said:\nE: Unable to locate package no-such";
        assert!(lists_are_old(error) && !is_locked(error));
        let error = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)";
        assert!(is_locked(error) && !lists_are_old(error));
    }

    #[tokio::test]
    async fn what_only_a_person_can_do_is_told() {
        let way = Way::Tell("sudo apt-get install --no-install-recommends ffmpeg".to_owned());
        let error = way.install(&["ffmpeg"], |_| {}).await.unwrap_err();
        assert!(format!("{error:#}").contains("type: sudo apt-get install"), "{error:#}");
    }

    #[tokio::test]
    async fn what_is_there_is_left_alone() {
        let way = Way::find(&["base-files"]).await.unwrap();
        if matches!(way, Way::Tell(_)) {
            eprintln!("SKIPPED what_is_there_is_left_alone: takes apt-get, and root or sudo without a password");
            return;
        }
        let mut said = String::new();
        way.install(&["base-files"], |line| said.push_str(line)).await.unwrap();
        assert!(said.contains("base-files"), "{said}");
    }
}
