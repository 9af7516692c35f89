//! Searches outputs, argument lists and files for secrets.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::processes;
use crate::site::Site;
use crate::workshop::Workshop;

/// The interval between two reads of all argument lists.
const PAUSE: Duration = Duration::from_millis(50);

/// Records every argument list on this machine until [`Sentinel::check`].
pub struct Sentinel {
    stop: Arc<AtomicBool>,
    lines: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    watch: Option<JoinHandle<()>>,
}

impl Sentinel {
    pub fn begin() -> Self {
        let (stop, lines) = (Arc::<AtomicBool>::default(), Arc::<Mutex<BTreeSet<Vec<u8>>>>::default());
        let watch = thread::spawn({
            let (stop, lines) = (Arc::clone(&stop), Arc::clone(&lines));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let seen = processes::all().into_iter().filter_map(processes::command_line);
                    let mut lines = lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    lines.extend(seen);
                    drop(lines);
                    thread::park_timeout(PAUSE);
                }
            }
        });
        Self { stop, lines, watch: Some(watch) }
    }

    /// Searches all output, the argument lists, and all files of `.deploy` except `secrets.env` for the site's secrets and
    /// for these log-in tokens.
    pub fn check(mut self, site: &Site, tokens: &[String]) {
        self.end();
        let file = fs_err::read_to_string(site.state().join("secrets.env")).unwrap();
        let mut secrets: Vec<(String, String)> = file
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
            .collect();
        for name in ["BOOTSTRAP_TOKEN", "JWT_SECRET", "POSTGRES_PASSWORD"] {
            assert!(
                secrets.iter().any(|(known, value)| known == name && value.len() >= 32),
                "secrets.env has no {name}"
            );
        }
        secrets.push(("the account's password".to_owned(), site.password()));
        secrets.extend(tokens.iter().map(|token| ("a log-in token".to_owned(), token.clone())));

        let said = site.everything_said();
        let lines = self.lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let lines: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).replace('\0', " ")).collect();
        assert!(lines.iter().any(|line| line.contains(" supervise ")), "no argument list of the supervisor was seen");
        for (name, value) in &secrets {
            assert!(!said.contains(value), "{name} was said by a command");
            // The message does not show the value: CI logs are public.
            assert!(!lines.iter().any(|line| line.contains(value)), "{name} was an argument");
        }
        let values: Vec<&str> = secrets.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(files_with(site, &values), Vec::<String>::new(), "files of .deploy hold a secret");
        site.note(&format!("{} secrets are in none of {} argument lists", values.len(), lines.len()));
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            watch.thread().unpark();
            watch.join().ok();
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.end();
    }
}

/// Uses grep, because PostgreSQL's files have hundreds of megabytes. The values are passed in a file.
fn files_with(site: &Site, values: &[&str]) -> Vec<String> {
    let patterns = tempfile::NamedTempFile::new_in(&Workshop::of_this_run().folder).unwrap();
    fs_err::write(patterns.path(), values.join("\n")).unwrap();
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--files-with-matches", "--fixed-strings", "--exclude=secrets.env", "--file"]);
    let output = grep.arg(patterns.path()).arg(site.folder().join(".deploy")).arg(site.postgres()).output().unwrap();
    // 0: found, 1: not found, 2: error.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
