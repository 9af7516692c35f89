//! What an error says to type is typed, and helps.

use std::os::unix::fs::PermissionsExt as _;

use testkit::{Controls, Project, Ran, Terminal};

/// Types the command that a failed one shows behind `mark`.
#[track_caller]
fn type_it(project: &Project, failed: &Ran, mark: &str) -> Ran {
    failed.type_it(mark, &project.command(&[]))
}

#[test]
fn before_the_first_deploy_every_command_says_to_deploy() {
    for (args, code) in [(&["rollback"][..], 2), (&["history"], 0), (&["logs"], 1), (&["status"], 0)] {
        let project = Project::fixture();
        let failed = project.run(args).expect(code);
        type_it(&project, &failed, "type: ").expect(0);
        assert_eq!(project.serves(), Some(project.head()), "{args:?}");
        project.run(args).expect(if args == ["rollback"] { 2 } else { 0 });
    }
}

#[test]
fn a_file_of_secrets_becomes_private() {
    let project = Project::fixture();
    project.write(".env.local", "GREETING=hi\n");
    fs_err::set_permissions(project.root.join(".env.local"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let failed = project.run(&["deploy"]).expect(1);
    type_it(&project, &failed, "type: ").expect(0);
    project.ok(&["deploy"]);
}

#[test]
fn a_folder_becomes_ignored_whatever_the_rule_was() {
    for rule in ["", "/.deploy/\n"] {
        // The project is stopped before its folder goes.
        let away = tempfile::tempdir().unwrap();
        let project = Project::fixture();
        std::os::unix::fs::symlink(away.path(), project.root.join(".deploy")).unwrap();
        project.write(".gitignore", &format!("/target\n{rule}"));
        let failed = project.run(&["deploy"]).expect(1);
        type_it(&project, &failed, "    → ").expect(0);
        let version = project.commit("Ignored");
        project.ok(&["deploy"]);
        assert_eq!(project.serves(), Some(version), "{rule:?}");
    }
}

#[test]
fn cargos_target_folder_may_be_a_link() {
    let project = Project::fixture();
    let away = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(away.path(), project.root.join("target")).unwrap();
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(project.head()));
    project.ok(&["deploy"]).says(&["unchanged"]);
}

#[test]
fn a_rendered_file_becomes_fresh() {
    let project = Project::fixture();
    let failed = project.run(&["render", "--check"]).expect(1);
    type_it(&project, &failed, "type: ").expect(0);
    project.ok(&["render", "--check"]);
}

#[test]
fn a_lease_is_broken_without_a_terminal() {
    let project = Project::fixture();
    project.commit_behaviour("waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("gate", "started");
    let locked = project.run(&["deploy"]).expect(20);
    let asks = type_it(&project, &locked, "type: ").expect(21);
    assert!(type_it(&project, &asks, "type: ").expect(0).stdout.contains("was broken"));
}

#[test]
fn an_interrupted_deploy_is_resumed() {
    let project = Project::fixture();
    let version = project.commit_behaviour("waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("gate", "started");
    deploy.signal(rustix::process::Signal::INT);
    let ended = deploy.end().expect(1);
    fs_err::write(project.deployed("data/data/go"), "").unwrap();
    let ran = Ran { code: ended.code, stdout: String::new(), stderr: ended.stderr };
    type_it(&project, &ran, "type: ").expect(0);
    assert_eq!(project.serves(), Some(version));
    let status = project.status();
    assert_eq!(status["unfinished"], false);
}

#[test]
fn a_lock_file_that_is_out_of_date_is_updated() {
    let project = Project::fixture();
    project.edit("Cargo.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    project.commit("Cargo.lock is forgotten");
    let failed = project.run(&["deploy"]).expect(1).says(&["Cargo.lock does not fit"]);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    type_it(&project, &failed, "type: ").expect(0);
    let version = project.commit("Cargo.lock");
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
}

#[test]
fn a_lock_file_that_a_build_of_uncommitted_changes_updates_is_no_fault_of_git() {
    let project = Project::fixture();
    project.edit("Cargo.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    let failed = project.run(&["deploy"]).expect(1).says(&["Cargo.lock\n", "cargo has brought that up to date"]);
    type_it(&project, &failed, "type: ").expect(0);
}

#[test]
fn what_is_in_the_place_of_the_sockets_folder_is_removed() {
    let project = Project::fixture();
    project.write(".deploy/local/run", "");
    let failed = project.run(&["doctor"]).expect(1);
    type_it(&project, &failed, "→ ").expect(0);
    project.ok(&["deploy"]);
}

#[test]
fn another_users_service_is_stopped_as_that_user() {
    if !testkit::machine::is_root() {
        return testkit::skipped("another_users_service_is_stopped_as_that_user", "only root can give a folder away");
    }
    let project = Project::fixture();
    fs_err::create_dir_all(project.deployed("run")).unwrap();
    std::os::unix::fs::chown(project.deployed("run"), Some(65534), None).unwrap();
    let said = project.run(&["doctor"]).expect(1).stdout;
    assert!(
        said.contains("belongs to user 65534") && said.contains("→ sudo --user='#65534' cargo xtask stop local"),
        "{said}"
    );
}

#[test]
fn a_rollback_to_a_release_that_is_not_there_shows_which_are() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let first = project.head();
    project.commit("Second");
    project.ok(&["deploy"]);
    let failed = project.run(&["rollback", "--to", "0000"]).expect(2);
    assert!(type_it(&project, &failed, "type: ").expect(0).stdout.contains(&first));
}

#[test]
fn the_release_to_go_back_to_is_picked_from_a_list() {
    let project = Project::fixture();
    project.run(&["rollback", "--to"]).expect(2).says(&["no other release was ever live"]);
    let mut versions = Vec::new();
    for subject in ["First", "Second", "Third"] {
        versions.push(project.commit(subject));
        project.ok(&["deploy"]);
    }
    project.run(&["rollback", "--to"]).expect(2).says(&["no terminal to pick one at"]);
    let picks = |answer: &str| {
        let mut rollback = Terminal::start(&project.command(&["rollback", "--to"]), Controls::Yes);
        assert!(rollback.shows("which of them (1-2)?"));
        rollback.types(answer);
        rollback.end()
    };
    let (code, shown) = picks("3");
    assert!(code == Some(2) && shown.contains("\"3\" is none of them"), "{shown}");
    assert_eq!(project.serves().as_ref(), Some(&versions[2]));
    let (code, shown) = picks("2");
    assert!(code == Some(0) && shown.contains("Second") && shown.contains("First"), "{shown}");
    assert_eq!(project.serves().as_ref(), Some(&versions[0]));
}

#[test]
fn a_folder_is_where_a_file_was() {
    let project = Project::fixture();
    project.write(".deploy", "");
    let failed = project.run(&["doctor"]).expect(1);
    type_it(&project, &failed, "→ ").expect(0);
    project.ok(&["deploy"]);
}
