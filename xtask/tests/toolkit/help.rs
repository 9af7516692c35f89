//! The help of the command line.

use std::process::Command;

use testkit::{Project, toolkit};

/// The output of a command without a terminal, so lines are not wrapped to its width.
fn said(args: &[&str]) -> String {
    let output = Command::new(toolkit()).args(args).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_every_command_is_as_it_was() {
    let mut all = said(&["--help"]);
    let commands = all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A wrapped line continues on one that is indented further.
    let entries = commands.filter(|line| !line.starts_with("   "));
    let names: Vec<String> = entries.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    assert!(names.len() >= 10, "{names:?}");
    // The help of these is a snapshot of the crates `checks` and `rehearsal`.
    for name in names.into_iter().filter(|name| !["test", "bench", "rehearse"].contains(&name.as_str())) {
        all.push_str(&format!("\n──── {name} ────\n{}", said(&[&name, "--help"])));
        let subs: &[&str] = match name.as_str() {
            "ci" => &["run", "actions"],
            "lock" => &["status", "break"],
            "setup" => &["host"],
            "sqlx" => &["prepare", "check"],
            _ => &[],
        };
        for sub in subs {
            all.push_str(&format!("\n──── {name} {sub} ────\n{}", said(&[&name, sub, "--help"])));
        }
    }
    insta::assert_snapshot!("help", all);
}

#[test]
fn the_version_names_the_commit() {
    let project = Project::fixture();
    let version = project.ok(&["--version"]).stdout;
    assert_eq!(version, format!("xtask {} ({})\n", env!("CARGO_PKG_VERSION"), project.head()));
}

#[test]
fn completions_are_made_for_every_shell_and_bash_can_read_its_own() {
    for shell in ["bash", "zsh", "fish"] {
        let text = said(&["completions", shell]);
        assert!(text.contains("rollback") && text.contains("resume"), "{shell}: {text}");
        assert!(!text.contains("supervise"), "{shell} completes what is hidden");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("completions.bash");
    fs_err::write(&file, said(&["completions", "bash"])).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&file).status().unwrap().success());
}
