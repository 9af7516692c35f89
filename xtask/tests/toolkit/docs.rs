//! `docs`: the reference of deploy.yaml, and its schema for editors.

use serde_json::Value;
use testkit::Project;

#[test]
fn a_key_is_explained_and_a_wrong_one_says_which_was_meant() {
    let project = Project::fixture();
    let topics = project.ok(&["docs"]).says(&["cargo xtask docs service"]).stdout;
    assert!(topics.lines().any(|line| line.starts_with("service ")) && topics.contains("environments.NAME.gate"));
    let key = project.ok(&["docs", "service.port_variable"]).stdout;
    assert!(key.contains("kind     the name of an environment variable"), "{key}");
    assert!(
        key.contains("example  port_variable: PORT") && key.contains("default  the service takes the socket"),
        "{key}"
    );
    let media = project.ok(&["docs", "environments.media"]).stdout;
    assert!(media.contains("target   scaleway, compose") && media.contains("    settings "), "{media}");
    let details = project.results(&["docs", "service.env"]);
    assert_eq!(details[0]["key"], "service.env");
    assert_eq!(details[0]["keys"].as_array().unwrap().len(), 5, "{details:?}");
    project.run(&["docs", "service.port_varible"]).expect(2).says(&["did you mean service.port_variable?"]);
    // It needs no deploy.yaml, and takes a broken one.
    project.write("deploy.yaml", "projekt: 1\n");
    project.ok(&["docs", "project"]);
}

#[test]
fn the_schema_is_rendered_where_deploy_yaml_names_it() {
    let project = Project::fixture();
    project.ok(&["render"]);
    assert!(!project.root.join("deploy.schema.json").exists());
    project.edit(
        "deploy.yaml",
        "project: fixture",
        "# yaml-language-server: $schema=deploy.schema.json\nproject: fixture",
    );
    project.run(&["render", "--check"]).expect(1).says(&["not up to date: deploy.schema.json"]);
    project.ok(&["render"]);
    let rendered = project.read("deploy.schema.json");
    assert_eq!(rendered, project.ok(&["docs", "--schema"]).stdout);
    let schema: Value = serde_json::from_str(&rendered).unwrap();
    assert_eq!(schema["properties"]["service"]["properties"]["readiness"]["type"], "string");
    project.ok(&["render", "--check"]);
}
