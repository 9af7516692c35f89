//! GitHub Actions reads commands (`::group::…`) from both output streams, and other programs write to them too. So text stands between
//! `::stop-commands::TOKEN` and `::TOKEN::`, with a token that the text cannot know.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;

use super::{Report, Step};

/// Which stream has an open block of text, if any. GitHub knows of one block at a time.
pub(super) struct Commands {
    token: String,
    block: Mutex<Option<Stream>>,
}

/// Whether GitHub would find a command in a text (actions/runner, `src/Runner.Common/ActionCommand.cs`).
pub(super) fn has_commands(text: &str) -> bool {
    text.contains("##[") || text.lines().any(|line| line.trim_start().starts_with("::"))
}

/// A stream that GitHub reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard error.
    Error,
    /// Standard output.
    Output,
}

impl Commands {
    pub(super) fn new() -> Self {
        // Keys from the operating system's random numbers.
        let random = || RandomState::new().hash_one(());
        Self { token: format!("{:016x}{:016x}", random(), random()), block: Mutex::default() }
    }

    /// What has to be written, and where, before text of this stream; before a command for none.
    pub(super) fn turn_to(&self, stream: Option<Stream>) -> Vec<(Stream, String)> {
        let mut block = self.block.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *block == stream {
            return Vec::new();
        }
        let end = block.map(|open| (open, format!("::{}::\n", self.token)));
        let begin = stream.map(|new| (new, format!("::stop-commands::{}\n", self.token)));
        *block = stream;
        end.into_iter().chain(begin).collect()
    }
}

/// Groups: GitHub has no groups in groups, so of the steps that run side by side the first has its group open while it runs. The
/// others show their output when they end.
impl Report {
    /// Opens the group of a step, unless one is open.
    pub(super) fn open_group(&self, step: Step) -> bool {
        let mut open = self.group();
        if open.is_some() {
            return false;
        }
        *open = Some(step);
        self.command(&format!("::group::{step}"));
        true
    }

    /// Closes the open group.
    pub(super) fn close_group(&self) {
        if self.group().take().is_some() {
            self.command("::endgroup::");
        }
    }

    /// Shows a step that has ended, with its output in a group, and then goes on with the group that is open.
    pub(super) fn between_groups(&self, step: Step, output: &[String], line: &str) {
        let open = self.group();
        if open.is_some() {
            self.command("::endgroup::");
        }
        if !output.is_empty() {
            self.command(&format!("::group::{step}"));
            output.iter().for_each(|line| self.say(line));
            self.command("::endgroup::");
        }
        self.say(line);
        if let Some(step) = *open {
            self.command(&format!("::group::{step}, continued"));
        }
    }

    fn group(&self) -> std::sync::MutexGuard<'_, Option<Step>> {
        self.0.group.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_where_github_finds_them() {
        for text in ["::add-mask::x", "a\n  ::error::x", "an old ##[error]x"] {
            assert!(has_commands(text), "{text}");
        }
        assert!(!has_commands("registry.example.org/shop@sha256:0\nstd::fs in the middle"));
    }

    #[test]
    fn one_block_is_open_at_a_time() {
        let commands = Commands::new();
        let (stop, go) = (format!("::stop-commands::{}\n", commands.token), format!("::{}::\n", commands.token));
        assert!(commands.turn_to(None).is_empty());
        assert_eq!(commands.turn_to(Some(Stream::Error)), [(Stream::Error, stop.clone())]);
        assert!(commands.turn_to(Some(Stream::Error)).is_empty());
        assert_eq!(commands.turn_to(Some(Stream::Output)), [(Stream::Error, go.clone()), (Stream::Output, stop)]);
        assert_eq!(commands.turn_to(None), [(Stream::Output, go)]);
        assert_ne!(commands.token, Commands::new().token);
    }
}
