//! git, which a test must never run on the repository that the tests are in.

use std::path::Path;
use std::process::Command;

use crate::Ran;

/// git in a folder.
pub fn git(folder: impl AsRef<Path>) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder);
    without_git_variables(&mut git);
    git
}

/// Commits everything in a clone.
pub fn commit(folder: &Path, message: &str) {
    Ran::of(git(folder).args(["add", "--all"])).expect(0);
    let author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    Ran::of(git(folder).args(author).args(["commit", "--quiet", "--message", message])).expect(0);
}

/// Removes every variable of git's. A hook that runs the tests has `GIT_DIR`, and git would write into that repository.
pub fn without_git_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
}
