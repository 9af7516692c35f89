//! The form in which the toolkit was typed. Messages tell what to type next, and they say it in the same form.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;
use std::sync::LazyLock;

/// Its name as a program that is installed: `cutover …`, and `cargo cutover …` by the program `cargo-cutover`.
pub const INSTALLED: &str = "cutover";

/// Its form in a repository that has it in the workspace, and how texts in the code and in help name it.
pub const IN_WORKSPACE: &str = "cargo xtask";

static FORM: LazyLock<Form> = LazyLock::new(|| Form::of(std::env::args_os().next().as_deref().map(Path::new)));

/// A form of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `cargo xtask …`
    Workspace,
    /// `cutover …`
    Installed,
    /// `cargo cutover …`
    OfCargo,
}

impl Form {
    /// By the name of the program that was started.
    fn of(program: Option<&Path>) -> Self {
        match program.and_then(Path::file_name).and_then(|name| name.to_str()) {
            Some("cutover") => Self::Installed,
            Some("cargo-cutover") => Self::OfCargo,
            _ => Self::Workspace,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Workspace => IN_WORKSPACE,
            Self::Installed => INSTALLED,
            Self::OfCargo => "cargo cutover",
        }
    }

    fn in_text(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Workspace => Cow::Borrowed(text),
            _ => Cow::Owned(text.replace(IN_WORKSPACE, self.text())),
        }
    }

    /// The arguments behind the program's name. cargo gives its own word for the program first.
    fn arguments(self, mut all: Vec<OsString>) -> Vec<OsString> {
        let first = if self == Self::OfCargo && all.get(1).is_some_and(|word| word == INSTALLED) { 2 } else { 1 };
        all.drain(first.min(all.len())..).collect()
    }
}

/// Whether it runs as an installed program, which is of no repository.
pub fn is_installed() -> bool {
    *FORM != Form::Workspace
}

/// The name of the program alone: of its version, of completions.
pub fn program() -> &'static str {
    if is_installed() { INSTALLED } else { "xtask" }
}

/// The text with the toolkit's commands in the form that was typed.
pub fn as_typed(text: &str) -> Cow<'_, str> {
    FORM.in_text(text)
}

/// The arguments of the command line.
pub fn arguments() -> Vec<OsString> {
    FORM.arguments(std::env::args_os().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_known_by_the_programs_name() {
        let of = |program: &str| Form::of(Some(Path::new(program)));
        assert_eq!(of("/home/ada/.cargo/bin/cutover"), Form::Installed);
        assert_eq!(of("cargo-cutover"), Form::OfCargo);
        for other in ["target/debug/xtask", "/p/target/debug/deps/xtask-0123", "cutover-old", ""] {
            assert_eq!(of(other), Form::Workspace, "{other}");
        }
        assert_eq!(Form::of(None), Form::Workspace);
    }

    #[test]
    fn the_next_command_is_told_in_the_same_form() {
        let text = "type: cargo xtask deploy local";
        assert_eq!(Form::Workspace.in_text(text), text);
        assert_eq!(Form::Installed.in_text(text), "type: cutover deploy local");
        assert_eq!(Form::OfCargo.in_text(text), "type: cargo cutover deploy local");
    }

    #[test]
    fn cargos_own_word_is_no_argument() {
        let arguments = |form: Form, all: &[&str]| form.arguments(all.iter().map(OsString::from).collect());
        assert_eq!(arguments(Form::OfCargo, &["cargo-cutover", "cutover", "deploy"]), ["deploy"]);
        assert_eq!(arguments(Form::OfCargo, &["cargo-cutover", "deploy"]), ["deploy"]);
        assert_eq!(arguments(Form::Installed, &["cutover", "cutover"]), ["cutover"]);
        assert_eq!(arguments(Form::OfCargo, &[]), [""; 0]);
    }
}
