//! A terminal that goes away, and text of others on one.

use std::fs::File;
use std::process::Stdio;

use testkit::{Controls, Project, Ran, Terminal, sample, until};

/// The steps that a deploy of the fixture shows, in order.
const STEPS: [&str; 10] =
    ["preflight", "source", "provision", "build", "publish", "plan", "apply", "gate", "switch", "record"];

fn in_order(project: &Project) {
    until("only the service and its supervisor run", || project.processes().len() == 2);
    assert_eq!(project.ok(&["lock", "status"]).stdout, "local is free\n");
}

/// Nothing tells the deploy that its terminal is gone but its own writes, which fail.
#[test]
fn a_deploy_ends_well_when_its_terminal_can_no_longer_be_written() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    for step in sample(&STEPS, 3) {
        let version = project.commit(&format!("The terminal goes away at {step}"));
        let mut deploy = Terminal::start(&project.command(&["deploy"]), Controls::No);
        assert!(deploy.shows(step), "{:?}", deploy.end());
        deploy.close();
        assert_eq!(deploy.end().0, Some(0), "{step}");
        assert_eq!(project.serves(), Some(version));
        assert_eq!(project.records()[0]["outcome"], "live", "{step}");
        in_order(&project);
    }
}

#[test]
fn a_deploy_ends_in_order_when_its_connection_drops() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let mut live = project.head();
    for step in sample(&STEPS, 3) {
        let version = project.commit(&format!("The connection drops at {step}"));
        let mut deploy = Terminal::start(&project.command(&["deploy"]), Controls::Yes);
        assert!(deploy.shows(step), "{:?}", deploy.end());
        deploy.close();
        let (code, _) = deploy.end();
        let record = &project.records()[0];
        // Before it has the lease, a deploy leaves no record; near its end, it may end before the signal comes.
        match record["outcome"].as_str() {
            Some("live") if record["source"]["version"] == version.as_str() => {
                assert_eq!(code, Some(0), "{step}");
                live = version;
            }
            Some("live") => {
                assert_eq!((code, &record["source"]["version"]), (Some(1), &live.as_str().into()), "{step}")
            }
            outcome => assert_eq!((code, outcome), (Some(1), Some("aborted")), "{step}: {record:#}"),
        }
        assert_eq!(project.serves().as_ref(), Some(&live), "{step}");
        in_order(&project);
    }
}

/// A commit's subject that clears the screen, writes over the line, hides its end, and is a command to GitHub.
const SUBJECT: &str = "\x1b[2J\x1b]0;owned\x07a\rb \u{202e}c\u{9b}31m ##[error]d";

#[test]
fn text_of_others_is_escaped_wherever_it_is_shown() {
    let project = Project::fixture();
    project.commit(SUBJECT);
    let mut deploy = Terminal::start(&project.command(&["deploy"]), Controls::Yes);
    deploy.shows("live");
    let (code, shown) = deploy.end();
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(shown.contains(r"\u{1b}[2J\u{1b}]0;owned\u{7}a\rb \u{202e}c\u{9b}31m"), "{shown:?}");
    for raw in ["\x1b[2J\x1b]", "\x07", "\u{202e}", "\u{9b}"] {
        assert!(!shown.contains(raw), "{raw:?} in {shown:?}");
    }
    for args in [&["status"][..], &["history"], &["deploy", "--dry-run"], &["status", "--json"], &["history", "--json"]]
    {
        let ran = project.ok(args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("owned"), "{args:?}: {said}");
        let raw = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        assert_eq!(said.chars().find(raw), None, "{args:?}: {said:?}");
        assert!(!args.contains(&"--json") || !said.contains("##["), "{said}");
    }
}

/// The lines that GitHub would read commands from.
fn heard_by_github(text: &str) -> Vec<&str> {
    let mut token: Option<String> = None;
    let mut heard = Vec::new();
    for line in text.lines().map(str::trim_start) {
        match &token {
            Some(stopped) if line == format!("::{stopped}::") => token = None,
            Some(_) => {}
            None => match line.strip_prefix("::stop-commands::") {
                Some(new) => token = Some(new.to_owned()),
                None => heard.push(line),
            },
        }
    }
    assert_eq!(token, None, "commands are heard again afterwards: {text}");
    heard
}

#[test]
fn on_github_text_of_others_is_no_command() {
    let project = Project::fixture();
    project.write("build.rs", "fn main() { println!(\"cargo::warning=::add-mask::built\"); }");
    project.commit("::set-output name=x::subject");
    let github = |args: &[&str]| Ran::of(project.command(args).env("GITHUB_ACTIONS", "true"));
    let deployed = github(&["deploy"]).expect(0).says(&["::set-output name=x::subject"]);
    fs_err::write(project.deployed("logs/service.log"), "::add-mask::x\n  ##[error]x\n::stop-commands::mine\n")
        .unwrap();
    let logs = github(&["logs"]).expect(0);
    assert!(logs.stdout.contains("\n::add-mask::x\n"), "{}", logs.stdout);
    project.write("src/main.rs", "fn main() { ::endgroup::x }");
    let failed = github(&["deploy"]).expect(1).says(&["::endgroup::x"]);
    for said in [&deployed.stderr, &logs.stdout, &failed.stderr] {
        for line in heard_by_github(said) {
            let own =
                ["::group::", "::endgroup::", "::error::", "::warning::"].iter().any(|begin| line.starts_with(begin));
            assert!(own || !line.contains("::") && !line.contains("##["), "{line} in {said}");
        }
    }
}

#[test]
fn a_secret_is_redacted_before_an_annotation_escapes_it() {
    let project = Project::fixture();
    let secret = "100% secret value";
    crate::lifecycle::set_own(&project, &format!("API_TOKEN='{secret}'\n"));
    project.write("src/main.rs", &format!("fn main() {{ \"{secret}\" + 1 }}"));
    let ran = Ran::of(project.command(&["deploy"]).env("GITHUB_ACTIONS", "true"))
        .expect(1)
        .says(&["::error::", "[redacted]"]);
    assert!(!ran.stderr.contains("secret value") && !ran.stderr.contains(secret), "{}", ran.stderr);
}

#[test]
fn a_full_standard_output_is_a_failure() {
    let project = Project::fixture();
    for args in [
        &["deploy", "--json"][..],
        &["status"],
        &["status", "--json"],
        &["history"],
        &["logs"],
        &["doctor"],
        &["--version"],
        &["--help"],
        &["deploy", "--help"],
        &["completions", "bash"],
    ] {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let ran = Ran::of(project.command(args).stdout(full()).stderr(Stdio::piped())).expect(1);
        assert!(
            ran.stderr.contains("standard output") && ran.stderr.contains("No space left"),
            "{args:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(project.serves(), Some(project.head()), "the deploy itself went on");
    // Nobody loses anything when nobody can be told.
    let full = || File::options().write(true).open("/dev/full").unwrap();
    project.write("notes", "");
    assert!(project.command(&["deploy"]).stdout(full()).stderr(full()).status().unwrap().success());
}

#[test]
fn following_a_log_ends_when_its_reader_goes_away() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let mut logs = project.command(&["logs", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(logs.stdout.take());
    until("it ends", || {
        let mut log = fs_err::OpenOptions::new().append(true).open(project.deployed("logs/service.log")).unwrap();
        std::io::Write::write_all(&mut log, b"another line\n").unwrap();
        logs.try_wait().unwrap().is_some_and(|status| status.success())
    });
}
