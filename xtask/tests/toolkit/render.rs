//! Files that are rendered from the settings table.

use testkit::Project;

#[test]
fn drift_is_shown_as_a_diff_and_rendering_fixes_it() {
    let project = Project::fixture();
    let ran =
        project.run(&["render", "--check"]).expect(1).says(&["not up to date: .env.example", "cargo xtask render"]);
    assert!(ran.stdout.contains("+# What /greeting says"), "{}", ran.stdout);
    assert!(!project.root.join(".env.example").exists());
    assert_eq!(project.ok(&["render"]).stdout, "wrote .env.example\n");
    project.ok(&["render", "--check"]).says(&["up to date"]);
    let rendered = project.read(".env.example");
    assert!(rendered.contains("# GREETING=hello") && rendered.contains("; secret"), "{rendered}");

    project.edit("settings.json", "What /greeting says", "How it greets");
    let ran = project.run(&["render", "--check"]).expect(1);
    assert!(ran.stdout.contains("-# What /greeting says\n+# How it greets"), "{}", ran.stdout);
    assert_eq!(project.read(".env.example"), rendered);
    project.ok(&["render"]);
    project.ok(&["render", "--check"]);
}

#[test]
fn an_unknown_name_in_a_template_is_an_error_with_its_place() {
    let project = Project::fixture();
    project.write("templates/env.example.j2", "one\n{{ sttings }}\n");
    project.run(&["render"]).expect(1).says(&["env.example.j2", "undefined"]);
}
