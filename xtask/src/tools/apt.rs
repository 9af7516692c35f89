//! Debian's package manager: which programs are missing, and how to install packages.

use anyhow::{Context as _, Result, bail};

use crate::tools::cmd::Cmd;
use crate::tools::platform;

/// Seconds to wait for another apt's lock.
const LOCK_WAIT: u64 = 120;

/// How packages can be installed on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installer {
    /// By apt-get: this process is root.
    Direct,
    /// By apt-get and `sudo`, which needs no password.
    Sudo,
    /// By the user: the command to type, or without apt-get, what to install.
    Manual(String),
}

impl Installer {
    /// Finds how these Debian packages can be installed. Changes nothing and does not ask.
    pub async fn find(packages: &[&str]) -> Result<Self> {
        let names = packages.join(" ");
        if platform::find_program("apt-get").is_none() {
            return Ok(Self::Manual(format!(
                "install these with this system's package manager (Debian's names): {names}"
            )));
        }
        if platform::is_root() {
            return Ok(Self::Direct);
        }
        let command = format!("apt-get install --no-install-recommends {names}");
        if platform::find_program("sudo").is_none() {
            return Ok(Self::Manual(format!("su -c '{command}'")));
        }
        if Cmd::new("sudo").args(["-n", "true"]).succeeds().await? {
            return Ok(Self::Sudo);
        }
        Ok(Self::Manual(format!("sudo {command}")))
    }

    /// Installs Debian packages, without upgrading installed ones. `on_line` gets apt's output. Downloads the package lists only if
    /// there are none or they are outdated. Waits up to two minutes for each lock of another apt. Fails for
    /// [`Installer::Manual`].
    pub async fn install(&self, packages: &[&str], mut on_line: impl FnMut(&str)) -> Result<()> {
        // Without the pattern option, a name with a dot that is no package is a regular expression for hundreds of them.
        let install = ["install", "-y", "--no-install-recommends", "--no-upgrade", "--no-remove"].iter();
        let install = install.chain(&["-o", "APT::Cmd::Pattern-Only=true", "--"]).chain(packages).copied();
        let install: Vec<&str> = install.collect();
        if has_lists() {
            let Err(stale) = self.apt_get(&install, &mut on_line).await else { return Ok(()) };
            if !lists_are_outdated(&format!("{stale:#}")) {
                return Err(stale);
            }
        }
        self.apt_get(&["update"], &mut on_line).await.context("download apt's package lists")?;
        self.apt_get(&install, &mut on_line).await
    }

    /// Runs `apt-get` once no other apt holds a lock.
    async fn apt_get(&self, args: &[&str], on_line: &mut impl FnMut(&str)) -> Result<()> {
        let command = match self {
            Self::Direct => Cmd::new("apt-get"),
            // sudo drops the environment, so `env` sets the variables behind it.
            Self::Sudo => Cmd::new("sudo").args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"]),
            Self::Manual(command) => bail!("packages are missing that need your permission; type: {command}"),
        };
        let command = command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        let command = command.arg("-o").arg(format!("DPkg::Lock::Timeout={LOCK_WAIT}")).args(args.iter().copied());
        unlocked(async || command.run_lines(&mut *on_line).await).await
    }
}

/// Runs apt, and repeats it while another apt holds a lock, for two minutes: its own timeout covers the lock of dpkg, not that of the
/// package lists. Its messages have to be in English (`LC_ALL=C`).
pub async fn unlocked(mut run: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let begin = std::time::Instant::now();
    loop {
        let Err(error) = run().await else { return Ok(()) };
        if !is_locked(&format!("{error:#}")) || begin.elapsed().as_secs() >= LOCK_WAIT {
            return Err(error);
        }
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
}

/// The programs that are neither on the `PATH` nor in the system's folders.
pub fn missing<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    programs.iter().copied().filter(|program| platform::find_program(program).is_none()).collect()
}

/// Whether apt has package lists. The image of a container usually has none.
fn has_lists() -> bool {
    let Ok(mut entries) = fs_err::read_dir("/var/lib/apt/lists") else { return false };
    entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

/// apt-get(8) has one exit code for all errors, so its messages must do. `LC_ALL=C` keeps them English.
fn lists_are_outdated(error: &str) -> bool {
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
    fn missing_programs_are_named() {
        assert_eq!(
            missing(&["sh", "no-such-program-a", "env", "no-such-program-b"]),
            ["no-such-program-a", "no-such-program-b"]
        );
    }

    #[test]
    fn apts_messages_are_understood() {
        let error = "`apt-get install` failed: exit status: 100. Its output:\nE: Unable to locate package no-such";
        assert!(lists_are_outdated(error) && !is_locked(error));
        let error = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)";
        assert!(is_locked(error) && !lists_are_outdated(error));
    }

    #[tokio::test]
    async fn a_manual_installation_fails_with_its_command() {
        let installer = Installer::Manual("sudo apt-get install --no-install-recommends ffmpeg".to_owned());
        let error = installer.install(&["ffmpeg"], |_| {}).await.unwrap_err();
        assert!(format!("{error:#}").contains("type: sudo apt-get install"), "{error:#}");
    }

    #[tokio::test]
    async fn an_installed_package_is_left_alone() {
        let installer = Installer::find(&["base-files"]).await.unwrap();
        if matches!(installer, Installer::Manual(_)) {
            eprintln!("SKIPPED an_installed_package_is_left_alone: needs apt-get, and root or sudo without a password");
            return;
        }
        let mut output = String::new();
        installer.install(&["base-files"], |line| output.push_str(line)).await.unwrap();
        assert!(output.contains("base-files"), "{output}");
    }
}
