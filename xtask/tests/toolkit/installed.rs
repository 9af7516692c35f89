//! The toolkit as an installed program: one file for many repositories, under the names that are typed.

use std::path::PathBuf;

use testkit::{Project, Ran, toolkit, until};

/// The service without any knowledge of the toolkit, to be deployed by an installed program, and the folder of programs.
fn installed() -> (Project, PathBuf) {
    installed_for(Project::of("foreign", |_| {}))
}

/// A project to be deployed by an installed program, and the folder of programs.
pub fn installed_for(mut project: Project) -> (Project, PathBuf) {
    let bin = project.root.parent().unwrap().join("bin");
    fs_err::create_dir(&bin).unwrap();
    for name in ["cutover", "cargo-cutover"] {
        fs_err::copy(toolkit(), bin.join(name)).unwrap();
    }
    project.toolkit = bin.join("cutover");
    (project, bin)
}

#[test]
fn an_installed_program_deploys_and_tells_what_to_type_in_the_form_that_was_typed() {
    let (mut project, bin) = installed();
    let said = project.ok(&["deploy"]).says(&["is ready"]);
    assert!(!said.stderr.contains("cargo xtask"), "{}", said.stderr);
    // What others say stays as it is, also in data.
    project.commit("Tell of cargo xtask deploy");
    project.ok(&["deploy"]).says(&["  Tell of cargo xtask deploy", "cutover rollback local"]);
    assert!(project.ok(&["history"]).stdout.contains("Tell of cargo xtask deploy"));
    let records = project.ok(&["history", "--json"]).stdout;
    assert!(records.contains("\"subject\":\"Tell of cargo xtask deploy\""), "{records}");
    assert!(project.ok(&["status"]).stdout.contains("Tell of cargo xtask deploy"));
    // From a folder below.
    let mut command = project.command(&["history", "show", "nothing"]);
    Ran::of(command.current_dir(project.root.join("src")))
        .expect(2)
        .says(&["to list them, type: cutover history local"]);
    let help = project.ok(&["--help"]).stdout;
    assert!(help.contains("Usage: cutover") && !help.contains("xtask"), "{help}");
    project.run(&["deploy", "--nothing"]).expect(2).says(&["Usage: cutover deploy"]);
    assert_eq!(project.ok(&["--version"]).stdout, format!("cutover {}\n", env!("CARGO_PKG_VERSION")));
    assert!(project.ok(&["completions", "bash"]).stdout.contains("complete -F _cutover"));
    project.toolkit = bin.join("cargo-cutover");
    project.run(&["cutover", "history", "show", "nothing"]).expect(2).says(&["cargo cutover history local"]);
    project.ok(&["cutover", "stop"]);
    until("every process has ended", || project.processes().is_empty());
}

#[test]
fn a_project_takes_the_versions_of_the_toolkit_that_it_names() {
    let project = Project::fixture();
    let pin = |from: &str, to: &str| project.edit("deploy.yaml", from, to);
    pin("project: fixture", "toolkit: '>=0.2, <1'\nproject: fixture");
    project.ok(&["history"]);
    // What only that version knows is no problem of this one.
    pin("'>=0.2, <1'", "'>=99'\nsomething_new: 1");
    project.run(&["history"]).expect(2).says(&[
        &format!(
            "deploy.yaml:1:10: toolkit: this toolkit is {}, and the project takes >=99",
            env!("CARGO_PKG_VERSION")
        ),
        "install one that fits: cargo install --git https://github.com/mainittu/meemi cutover",
    ]);
    pin("'>=99'", "0.1");
    project.run(&["history"]).expect(2).says(&["the project takes ^0.1", "meemi cutover --tag v0.1.0"]);
    pin("toolkit: 0.1", "toolkit: newest");
    project.run(&["history"]).expect(2).says(&["expected the versions of the toolkit, such as `>=0.2`"]);
}

#[test]
fn projects_with_other_pins_on_one_machine_are_each_others_no_problem() {
    let (one, bin) = installed();
    let mut other = Project::of("foreign", |_| {});
    other.toolkit = bin.join("cutover");
    one.edit("deploy.yaml", "project: foreign", "toolkit: '>=0.2'\nproject: foreign");
    one.commit("Takes this version");
    other.edit("deploy.yaml", "project: foreign", "toolkit: '0.1'\nproject: foreign");
    other.commit("Takes another version");
    one.ok(&["deploy"]);
    other.run(&["deploy"]).expect(2).says(&["the project takes ^0.1"]);
    assert!(!other.root.join(".deploy").exists());
    assert_eq!(testkit::client::get(one.port, "/health").unwrap().status, 200);
}

#[test]
fn a_worktree_and_a_submodule_are_projects_of_their_own() {
    let (project, bin) = installed();
    let beside = project.root.parent().unwrap();
    let deploys = |root: PathBuf| {
        let outlook = Ran::of(project.command(&["deploy", "--dry-run"]).current_dir(&root)).expect(0);
        outlook.says(&[&project.head(), "cargo build"]);
    };
    project.git(&["worktree", "add", "--quiet", "--detach", "../tree"]);
    deploys(beside.join("tree"));
    let other = beside.join("other");
    fs_err::create_dir(&other).unwrap();
    let in_other = |args: &[&str]| project.git(&[&["-C", other.to_str().unwrap()], args].concat());
    in_other(&["init", "--quiet"]);
    let url = project.root.to_str().unwrap();
    in_other(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "service"]);
    deploys(other.join("service"));
    drop(bin);
}
