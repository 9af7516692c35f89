//! What an error says to type, typed.

use std::process::Command;

use crate::Ran;

/// Who commits.
const WHO: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Test"),
    ("GIT_AUTHOR_EMAIL", "test@example.org"),
    ("GIT_COMMITTER_NAME", "Test"),
    ("GIT_COMMITTER_EMAIL", "test@example.org"),
];

impl Ran {
    /// The command that it shows behind this mark, such as `type: `. Behind the command, text for people may follow `;`, `(` or
    /// a comma.
    #[track_caller]
    pub fn hint(&self, mark: &str) -> String {
        // An annotation of GitHub repeats an error in one line.
        let lines = self.stdout.lines().chain(self.stderr.lines()).filter(|line| !line.starts_with("::"));
        let said = lines.collect::<Vec<_>>().join("\n");
        let hint = said.split(mark).nth(1).unwrap_or_else(|| panic!("it does not say {mark:?}: {said}"));
        let line = hint.lines().next().unwrap();
        let command = [";", " (", ", "].iter().fold(line, |line, end| line.split(end).next().unwrap());
        command.trim().trim_end_matches(['"', ',']).to_owned()
    }

    /// Types that command as it stands, in a shell with the folder, the environment and the toolkit of another command.
    #[track_caller]
    pub fn type_it(&self, mark: &str, like: &Command) -> Self {
        // The toolkit is run without the cargo that would build it.
        let typed = self.hint(mark).replace("cargo xtask", like.get_program().to_str().unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-ec", &typed]).current_dir(like.get_current_dir().unwrap());
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Self::of(shell.envs(WHO).env("GIT_EDITOR", "echo Typed >").stdin(std::process::Stdio::null()))
    }
}
