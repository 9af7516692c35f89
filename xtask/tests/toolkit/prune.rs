//! `deploy.yaml` says how many releases are kept for rollbacks.

use std::collections::BTreeSet;

use testkit::Project;

/// The versions that have a folder.
fn kept(project: &Project) -> BTreeSet<String> {
    let entries = fs_err::read_dir(project.deployed("releases")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn as_many_releases_are_kept_as_deploy_yaml_says() {
    let project = Project::fixture();
    project.edit("deploy.yaml", "target: local", "target: local\n    keep_releases: 3");
    let mut versions = Vec::new();
    for number in 0..5 {
        versions.push(project.commit(&number.to_string()));
        project.ok(&["deploy"]);
    }
    assert_eq!(kept(&project), versions[2..].iter().cloned().collect());
    project.run(&["rollback", "--to", &versions[0]]).expect(1).says(&[
        &versions[0],
        "no longer kept",
        "deploy its commit",
    ]);
    assert_eq!(project.serves().as_ref(), versions.last());
    project.ok(&["rollback"]);
    project.ok(&["rollback"]);
    assert_eq!(project.serves().as_ref(), Some(&versions[2]));
    assert_eq!(kept(&project), versions[2..].iter().cloned().collect());
    project.run(&["rollback"]).expect(1).says(&[&versions[1], "no longer kept"]);
    assert_eq!(project.serves().as_ref(), Some(&versions[2]));
    // As the message says, its commit can be deployed again.
    project.git(&["checkout", "--quiet", &versions[0]]);
    project.ok(&["deploy"]);
    assert_eq!(project.serves().as_ref(), Some(&versions[0]));
    assert_eq!(project.records().len(), 8);
}

#[test]
fn keeping_one_release_leaves_no_rollback() {
    let project = Project::fixture();
    project.edit("deploy.yaml", "target: local", "target: local\n    keep_releases: 1");
    project.commit("One is kept");
    project.ok(&["deploy"]);
    let second = project.commit("Second");
    let said = project.ok(&["deploy"]).stderr;
    assert_eq!(kept(&project), [second].into());
    assert!(!said.contains("undo"), "there is nothing to go back to:\n{said}");
}

#[test]
fn a_release_with_other_bytes_than_were_deployed_is_not_gone_back_to() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let first = project.head();
    let second = project.commit("Second");
    project.ok(&["deploy"]);
    let programs = project.deployed(&format!("releases/{first}/bin"));
    let program = fs_err::read_dir(programs).unwrap().next().unwrap().unwrap().path();
    // A file of its own: what may still run is not written to.
    fs_err::remove_file(&program).unwrap();
    fs_err::write(program, "#!/bin/sh\n").unwrap();
    project.run(&["rollback"]).expect(1).says(&[&first, "no longer kept"]);
    assert_eq!(project.serves(), Some(second));
}

#[test]
fn leftovers_of_a_killed_publish_are_deleted() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    fs_err::create_dir(project.deployed("releases/.publish-x")).unwrap();
    fs_err::write(project.deployed("releases/.publish-x/half"), "").unwrap();
    let first = project.head();
    let second = project.commit("Second");
    project.ok(&["deploy"]);
    assert_eq!(kept(&project), [first, second].into());
}
