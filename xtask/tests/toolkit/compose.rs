//! What Docker Compose runs on a Docker host, rendered.

use insta::assert_snapshot;
use testkit::Project;

const ENVIRONMENT: &str = "
  prod:
    target: compose
    registry: ghcr.io/example
    port: 8000
    service: { health: [fixture, health], cpus: 0.5, memory: 512M }
    worker: { args: [work, --queue, 'a$b'], health: [fixture, \"say \\\"it's\\\"\"] }
    settings: { GREETING: 'costs $5: \"now\"' }
";

fn project() -> Project {
    Project::of("fixture", |project| {
        project.write("deploy.yaml", &format!("{}{ENVIRONMENT}image: {{}}\n", project.read("deploy.yaml")));
    })
}

#[test]
fn a_docker_host_gets_its_containers_without_a_secret() {
    let project = project();
    project.write(".env.prod", "SIGNING_KEY=a-secret-of-the-host\nAPI_TOKEN=another-secret\n");
    project.ok(&["render"]);
    project.ok(&["render", "--check"]);
    let rendered = project.read("docker-compose.prod.yml");
    assert!(!rendered.contains("secret-of-the-host") && !rendered.contains("another-secret"), "{rendered}");
    assert_snapshot!(rendered);
    assert_snapshot!("compose-env", project.read(".env.prod.example"));

    project.edit("deploy.yaml", "memory: 512M", "memory: 1G");
    let ran = project.run(&["render", "--check"]).expect(1).says(&["not up to date: docker-compose.prod.yml"]);
    assert!(ran.stdout.contains("-    mem_limit: 512m\n"), "{}", ran.stdout);
}

#[test]
fn without_a_docker_host_nothing_is_rendered_for_one() {
    let project = Project::fixture();
    project.ok(&["render"]);
    let names = fs_err::read_dir(&project.root).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains("compose")).count(), 0);
}

#[test]
fn a_setting_that_does_not_fit_is_not_rendered() {
    let project = project();
    project.edit("deploy.yaml", "GREETING:", "GREETNG:");
    project.run(&["render", "--check"]).expect(1).says(&["the service has no such setting", "GREETING"]);
}

#[test]
fn a_deploy_names_the_command_of_docker_compose() {
    let said = ["environments.prod is a Docker host", "docker compose --env-file .env.prod"];
    project().run(&["deploy", "prod"]).expect(2).says(&said);
}
