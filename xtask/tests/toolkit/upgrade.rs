//! `upgrade`: what this version changes.

use testkit::Project;

#[test]
fn the_changes_since_a_version_are_told_also_where_the_project_does_not_take_this_one() {
    let project = Project::fixture();
    let told = project.ok(&["upgrade"]).says(&["names no oldest version, so these are all changes"]);
    assert!(
        told.stdout.contains("not released yet\n  - ") && told.stdout.contains("`upgrade`: what this version"),
        "{told:?}"
    );

    project.write("deploy.yaml", &format!("toolkit: '>=0.1, <0.2'\n{}", project.read("deploy.yaml")));
    project.run(&["status"]).expect(2);
    project.ok(&["upgrade"]).says(&["its changes since 0.1.0", "cargo xtask render", "toolkit: '>="]);
    project.ok(&["upgrade", "--from", "0.1.7"]).says(&["its changes since 0.1.7"]);
    let sections = project.results(&["upgrade"]);
    assert!(sections[0]["version"].is_null() && sections[0]["changes"].as_array().unwrap().len() > 1, "{sections:?}");
    project.run(&["upgrade", "--from", "new"]).expect(2);

    fs_err::remove_file(project.root.join("deploy.yaml")).unwrap();
    project.run(&["upgrade"]).expect(2).says(&["there is no deploy.yaml"]);
    project.ok(&["upgrade", "--from", "0.1.7"]);
}
