//! Who reads the output.

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A terminal: live lines.
    Terminal,
    /// A file or a pipe: one line for each finished step, and progress lines for long ones.
    Plain,
    /// GitHub Actions: a group for each step, annotations for errors.
    GitHub,
    /// A program, which reads events. People see errors only.
    Events,
}

impl Audience {
    /// Detects the audience from standard error, `CI` and `GITHUB_ACTIONS`.
    pub fn detect(json: bool, ci: bool, github: bool) -> Self {
        use std::io::IsTerminal as _;
        if json {
            Self::Events
        } else if github {
            Self::GitHub
        } else if !ci && std::io::stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}
