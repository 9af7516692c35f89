//! `run` and `open`: the deployed program once more, and where the service answers.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use testkit::{Controls, Project, Ran, Terminal, machine};

#[test]
fn a_one_off_process_is_the_deployed_program_with_its_settings_secrets_and_streams() {
    let project = Project::fixture();
    project.run(&["run", "--", "tell"]).expect(1).says(&["nothing was deployed", "cargo xtask deploy local"]);
    project.edit("deploy.yaml", "    port:", "    settings: { GREETING: salut }\n    port:");
    project.write(".env.local", "API_TOKEN=sentinel-token\n");
    fs_err::set_permissions(project.root.join(".env.local"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    project.commit("A greeting");
    project.ok(&["deploy"]);
    let version = project.head();
    // What is checked out since, and its settings, are another release's.
    project.edit("deploy.yaml", "salut", "moi");
    project.commit("Another greeting");
    let mut command = project.command(&["run", "--", "tell", "a b", "--json"]);
    command.env("SHOULD_NOT_BE_INHERITED", "sentinel").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from standard input\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(7), "{said}{errors}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!(r#"["tell", "a b", "--json"] {version} salut"#));
    assert_eq!(lines[1..], ["a token of 14 bytes", "data true", "from standard input"]);
    assert!(errors.ends_with("inherited \n"), "{errors}");
    // It is over in a moment, and holds no lease meanwhile.
    assert_eq!(project.ok(&["lock", "status"]).stdout, "local is free\n");
    assert_eq!(project.serves(), Some(version));
}

#[test]
fn a_one_off_process_is_no_other_user_than_the_service() {
    if !machine::is_root() || !cfg!(target_os = "linux") {
        return testkit::skipped("a_one_off_process_is_no_other_user", "it takes root on Linux, to be several users");
    }
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let service = project.services().remove(0).pid;
    let of = |status: &str, name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let own = project.ok(&["run", "--", "process"]);
    let theirs = fs_err::read_to_string(format!("/proc/{service}/status")).unwrap();
    for name in ["Uid:", "Gid:", "Groups:"] {
        assert_eq!(of(&own.stdout, name).trim(), of(&theirs, name).trim());
    }
}

#[test]
fn the_address_is_printed_and_at_a_terminal_opened() {
    let project = Project::fixture();
    project.run(&["open"]).expect(1).says(&["nothing serves", "cargo xtask status local"]);
    project.ok(&["deploy"]);
    let address = format!("http://localhost:{}", project.port);
    assert_eq!(project.ok(&["open"]).stdout, format!("{address}\n"));
    assert_eq!(project.results(&["open"])[0]["address"], address.as_str());

    let bin = project.root.join("bin");
    let opener = bin.join(if cfg!(target_os = "macos") { "open" } else { "xdg-open" });
    project.write(opener.strip_prefix(&project.root).unwrap().to_str().unwrap(), "#!/bin/sh\necho \"$@\" > opened\n");
    fs_err::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let in_terminal = |args: &[&str]| {
        let mut command = project.command(args);
        command.env("PATH", &path).env_remove("CI").env_remove("GITHUB_ACTIONS");
        let (code, shown) = Terminal::start(&command, Controls::Yes).end();
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains(&address), "{shown}");
    };
    in_terminal(&["open", "--print"]);
    assert!(!project.root.join("opened").exists());
    in_terminal(&["open"]);
    assert_eq!(project.read("opened"), format!("{address}\n"));
    // In a pipe nothing is opened.
    fs_err::remove_file(project.root.join("opened")).unwrap();
    Ran::of(project.command(&["open"]).env("PATH", &path)).expect(0);
    assert!(!project.root.join("opened").exists());
}
