//! Preflight reports all problems together, before anything changes.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use testkit::{Project, machine, skipped};

#[test]
fn a_port_in_use_is_reported_with_the_process_that_holds_it() {
    let project = Project::fixture();
    let listener = TcpListener::bind(("127.0.0.1", project.port)).unwrap();
    let holder = format!("(process {})", std::process::id());
    let taken = format!("port {} is taken by", project.port);
    project.run(&["deploy"]).expect(1).says(&["1 problem", &taken, &holder, "deploy.yaml"]);
    assert!(!project.root.join(".deploy").exists() && !project.root.join("target").exists());
    project.run(&["doctor"]).expect(1);
    drop(listener);
    project.ok(&["deploy"]);
}

#[test]
fn two_problems_are_both_listed_and_nothing_is_changed() {
    let project = Project::fixture();
    let _listener = TcpListener::bind(("127.0.0.1", project.port)).unwrap();
    project.write(".gitignore", "/target\n");
    project.write("migrations/first.sql", "");
    let says = ["3 problems", "is taken by", "git does not ignore .deploy", "echo /.deploy >> .gitignore", "first.sql"];
    project.run(&["deploy"]).expect(1).says(&says);
    project.run(&["deploy", "--dry-run"]).expect(1).says(&says);
    assert!(!project.root.join(".deploy").exists());
}

#[test]
fn a_changed_port_in_deploy_yaml_moves_the_service() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let moved = devservers::port::free();
    project.edit("deploy.yaml", &format!("port: {}", project.port), &format!("port: {moved}"));
    let version = project.commit("Another port");
    project.ok(&["deploy"]).says(&[&format!("http://localhost:{moved}")]);
    assert_eq!(testkit::client::get(moved, "/version").unwrap().expect(200).text(), version);
    assert!(testkit::client::get(project.port, "/version").is_err());
}

#[test]
fn a_file_in_place_of_the_deploy_folder_is_reported() {
    let project = Project::fixture();
    project.write(".deploy", "");
    project.run(&["deploy"]).expect(1).says(&["1 problem", "folder:", ".deploy is not a folder", "→ mv "]);
    assert_eq!(project.read(".deploy"), "");
}

#[test]
fn a_project_without_a_commit_is_reported_with_the_next_command() {
    let project = Project::fixture();
    fs_err::remove_dir_all(project.root.join(".git")).unwrap();
    let refused = project.run(&["deploy"]).expect(1);
    refused.type_it("a new project needs one: ", &project.command(&[])).expect(0);
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(project.head()));
}

#[test]
fn a_missing_required_setting_is_reported_with_where_to_set_it() {
    let project = Project::fixture();
    let token = "\"name\": \"API_TOKEN\",\n      \"help\": \"A secret that the operator sets\",\n      \"kind\": \"text\",\n      \"values\": [],\n      \"default\": null,\n      \"required\": ";
    project.edit("settings.json", &format!("{token}false"), &format!("{token}true"));
    project.run(&["deploy"]).expect(1).says(&[
        "API_TOKEN is required and has no value",
        "put API_TOKEN=… into",
        ".env.local",
    ]);
    crate::lifecycle::set_own(&project, "API_TOKEN=long-enough-to-mask\n");
    project.ok(&["deploy"]);
}

/// Gives the project to an ordinary user, 65534, who can read the toolkit.
pub fn as_ordinary_user(project: &mut Project) {
    let copy = project.root.parent().unwrap().join("xtask");
    fs_err::copy(&project.toolkit, &copy).unwrap();
    project.toolkit = copy;
    fs_err::set_permissions(project.root.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let status = std::process::Command::new("chown").arg("-R").arg("65534:65534").arg(&project.root).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_folder_without_write_access_is_reported_with_the_next_command() {
    let mut project = Project::fixture();
    if !machine::is_root() {
        fs_err::set_permissions(&project.root, std::fs::Permissions::from_mode(0o555)).unwrap();
        project.run(&["deploy"]).expect(1).says(&["folder:", "→", "chown"]);
        return fs_err::set_permissions(&project.root, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    if !Path::new("/usr/bin/setpriv").exists() {
        return skipped("a_folder_without_write_access_is_reported_with_the_next_command", "there is no setpriv");
    }
    as_ordinary_user(&mut project);
    fs_err::create_dir(project.root.join(".deploy")).unwrap();
    let as_nobody = |args: &[&str]| {
        let plain = project.command(args);
        let mut command = std::process::Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(plain.get_program())
            .args(plain.get_args());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(&project.root);
        testkit::Ran::of(command.env("HOME", &project.root))
    };
    as_nobody(&["deploy"]).expect(1).says(&["folder:", ".deploy", "→", "chown"]);
    assert_eq!(fs_err::read_dir(project.root.join(".deploy")).unwrap().count(), 0);
}

#[test]
fn a_project_in_a_folder_that_every_user_may_write_in_is_doubtful() {
    let project = Project::fixture();
    let above = project.root.parent().unwrap();
    let change = |folder: &Path, mode: u32| fs_err::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    assert!(!project.ok(&["doctor"]).stdout.contains("every user"));
    for (folder, mode, is_told) in
        [(&*project.root, 0o777, true), (&*project.root, 0o755, false), (above, 0o777, true), (above, 0o1777, false)]
    {
        change(folder, mode);
        let told = project.ok(&["doctor"]).stdout.contains(&format!("chmod o-w {}", folder.display()));
        assert_eq!(told, is_told, "{} {mode:o}", folder.display());
    }
}
