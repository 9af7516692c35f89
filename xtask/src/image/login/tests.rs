use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::Config;
use crate::report::{Audience, Report};
use crate::secrets::Redactor;
use crate::signals::Stop;

/// What is found for a registry in a project whose deploy.yaml names `registry`, with these lines in `.env.production`.
fn found(registry: &str, lines: &str, host: &str) -> Result<Sources> {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let yaml = format!(
        "project: p\nservice: {{ package: p, settings: s.json, readiness: /r }}\nimage: {{ name: app }}\nenvironments:\n  \
         production: {{ target: scaleway, registry: '{registry}/space' }}\n"
    );
    fs_err::write(root.join("deploy.yaml"), yaml).unwrap();
    let file = root.join(".env.production");
    fs_err::write(&file, lines).unwrap();
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = Config::load(&root).unwrap();
    let report = Report::new(Audience::Plain, false, Redactor::default());
    let (_, stop) = Stop::channel();
    let env = Env::find(&config, "production", &report, &stop).unwrap();
    sources(&env, format!("{host}/any").parse::<Reference>().unwrap().host())
}

const LOGIN: &str = "REGISTRY_USERNAME=me\nREGISTRY_PASSWORD=sentinel-password\n";

#[test]
fn a_password_without_a_host_is_sent_nowhere() {
    let error = found("evil.example.org", LOGIN, "evil.example.org").err().unwrap().to_string();
    assert!(error.contains("it was not sent to evil.example.org"), "{error}");
    assert!(error.ends_with("type: echo REGISTRY_HOST=evil.example.org >> .env.production"), "{error}");
    assert!(!error.contains("sentinel"), "{error}");
    // Nor to the registry of a base image.
    let other = found("rg.example.org", LOGIN, "ghcr.io").unwrap();
    assert!(other.username.is_none() && other.password.is_none());
}

#[test]
fn a_password_goes_to_its_host_only() {
    let lines = format!("{LOGIN}REGISTRY_HOST=rg.example.org\nREGISTRY_TOKEN_HOST=tokens.example.org\n");
    let own = found("rg.example.org", &lines, "rg.example.org").unwrap();
    assert!(own.username.is_some() && own.password.is_some());
    assert_eq!(own.token_host.as_deref(), Some("tokens.example.org"));
    // A base image in the same registry needs it, too.
    assert!(found("other.example.org", &lines, "rg.example.org").unwrap().password.is_some());
    for host in ["rg.example.org:444", "evil.example.org", "rg.example.org.example.com", "docker.io"] {
        let error = found(host, &lines, host).err().unwrap().to_string();
        assert!(error.contains("is for rg.example.org") && error.contains("was not sent"), "{error}");
    }
}

#[test]
fn the_host_is_a_host() {
    for named in ["rg.example.org/space", "https://rg.example.org", "rg", "rg.example.org rg2.example.org", "*"] {
        let lines = format!("{LOGIN}REGISTRY_HOST=\"{named}\"\n");
        let error = found("rg.example.org", &lines, "rg.example.org").err().unwrap().to_string();
        assert!(error.contains("REGISTRY_HOST is") && error.contains("rg.fr-par.scw.cloud"), "{error}");
    }
    let hub = format!("{LOGIN}REGISTRY_HOST=docker.io\n");
    assert!(found("docker.io", &hub, "docker.io").unwrap().password.is_some());
}

#[test]
fn scaleways_key_goes_to_the_environments_own_registry() {
    let lines = "SCW_SECRET_KEY=sentinel-key\n";
    assert!(found("rg.fr-par.scw.cloud", lines, "rg.fr-par.scw.cloud").unwrap().scaleway_key.is_some());
    assert!(found("rg.fr-par.scw.cloud", lines, "rg.nl-ams.scw.cloud").unwrap().scaleway_key.is_none());
}
