//! Variables that are set, declared or read in vain.

use std::os::unix::fs::PermissionsExt as _;

use testkit::{Project, Ran};

use crate::lifecycle::set_own;

/// All that a command has written, which has these texts.
fn told(ran: &Ran, texts: &[&str]) -> String {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for text in texts {
        assert!(said.contains(text), "it does not say {text:?}:\n{said}");
    }
    said
}

#[test]
fn a_misspelt_name_is_told_with_the_one_that_was_meant() {
    let project = Project::fixture();
    project.ok(&["render"]);
    set_own(&project, "GRETING=sentinel-value\nGH_TOKEN=a-token-of-the-toolkit\n");
    let doubt = ".env.local sets GRETING, which neither the service nor the toolkit reads: did you mean GREETING?";
    let said = told(&project.ok(&["doctor"]), &[doubt]);
    assert!(!said.contains("sentinel") && !said.contains("GH_TOKEN"), "{said}");
    project.ok(&["render", "--check"]).says(&[doubt]);

    project.edit("deploy.yaml", "gate: { timeout: 30 }", "gate: { timeout: 30 }\n    settings: { GRETING: hi }");
    for command in [&["doctor"][..], &["render", "--check"]] {
        told(&project.run(command).expect(1), &["environments.local.settings.GRETING", "did you mean `GREETING`?"]);
    }
    project.ok(&["render"]).says(&["environments.local.settings.GRETING"]);
}

#[test]
fn the_file_of_another_environment_has_names_of_programs_beside_the_service() {
    let environment = "
  prod:
    target: compose
    registry: ghcr.io/example
    port: 8000
    service: { health: [fixture, health] }
";
    let project = Project::of("fixture", |project| {
        let notify = "notify: [{ url_env: CHAT_URL, format: slack }]\n";
        let image = "image: { secrets: [NPM_TOKEN] }\n";
        project.write("deploy.yaml", &format!("{}{environment}{image}{notify}", project.read("deploy.yaml")));
    });
    let known = "REGISTRY_USERNAME=a\nSIGNING_KEY=b\nCHAT_URL=c\nNPM_TOKEN=d\nTF_VAR_any=e\n";
    project.write(".env.prod", &format!("{known}REGISTRY_PASSWD=sentinel-value\n"));
    fs_err::set_permissions(project.root.join(".env.prod"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let doubt = ".env.prod sets REGISTRY_PASSWD, which neither the service nor the toolkit reads: did you mean REGISTRY_PASSWORD?";
    for command in [&["render"][..], &["render", "--check"], &["doctor", "prod"]] {
        let said = told(&project.run(command), &[doubt]);
        assert!(said.matches("neither the service").count() == 1 && !said.contains("sentinel"), "{said}");
    }
}

#[test]
fn sources_and_deploy_yaml_name_the_same_variables() {
    let project = Project::of("node", |_| {});
    told(&project.ok(&["doctor"]), &["variables that the sources read: 1, all declared"]);

    project.edit(
        "server.js",
        "if (greeting ===",
        "if (process.env.SESION_KEY || process.env['LOG']) throw new Error('x');\nif (greeting ===",
    );
    project.edit("server.js", "OPTIONAL", "OTHER");
    project.write("test/server.test.js", "process.env.ONLY_OF_TESTS = '1';\n");
    let texts = [
        "server.js:17 reads SESION_KEY, which `service.env` of deploy.yaml does not declare: did you mean SESSION_KEY?",
        "server.js:17 reads LOG, which `service.env` of deploy.yaml does not declare",
        "`service.env` of deploy.yaml declares OPTIONAL, which no source names",
    ];
    let said = told(&project.ok(&["doctor"]), &texts);
    assert!(!said.contains("ONLY_OF_TESTS") && !said.contains("reads PORT"), "{said}");
}
