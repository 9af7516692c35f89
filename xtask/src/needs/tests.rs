use camino::{Utf8Path, Utf8PathBuf};
use insta::assert_snapshot;

use super::*;

const SETTINGS: &str = r#"{ "schema": 1, "settings": [
  { "name": "PORT", "help": "h", "kind": "port", "required": true, "secret": false, "supplied_by": "port" },
  { "name": "DATABASE_URL", "help": "The database", "kind": "url", "required": true, "secret": true, "supplied_by": "postgres" },
  { "name": "S3_SECRET_ACCESS_KEY", "help": "Made by the stack", "kind": "text", "required": true, "secret": true },
  { "name": "MAIL_KEY", "help": "For mail", "kind": "text", "required": false, "secret": true },
  { "name": "SITE", "help": "The site's name", "kind": "text", "required": true, "secret": false },
  { "name": "UPLOAD_DIR", "help": "Set in deploy.yaml", "kind": "path", "required": true, "secret": false },
  { "name": "LOG_LEVEL", "help": "Has a default", "kind": "text", "default": "info", "required": false, "secret": false },
  { "name": "OTEL_EXPORTER_OTLP_HEADERS", "help": "For the service's traces", "kind": "text", "required": false, "secret": true }
] }"#;

#[test]
fn a_docker_host_needs_its_registry_and_what_nothing_sets() {
    let environment = "    registry: ghcr.io/shop\n    port: 8000\n    service: { health: [app, health] }\n    \
                       settings: { UPLOAD_DIR: /data }\n";
    assert_snapshot!(of_target("compose", environment, ""), @r#"
    TF_STATE_PASSPHRASE secret - [Registry] Given
    REGISTRY_HOST - required [Registry] Expression("ghcr.io")
    REGISTRY_USERNAME - required [Registry] Expression("${{ github.actor }}")
    REGISTRY_PASSWORD secret required [Registry] Expression("${{ secrets.GITHUB_TOKEN }}")
    NPM_TOKEN secret required [Build] Given
    DATABASE_URL secret required [Settings] Given
    S3_SECRET_ACCESS_KEY secret required [Settings] Given
    MAIL_KEY secret - [Settings] Given
    SITE - required [Settings] Nowhere
    OTEL_EXPORTER_OTLP_HEADERS secret - [Settings] Given
    "#);
}

#[test]
fn an_easypanel_needs_its_token_and_the_key_of_its_records() {
    let environment = "    panel: https://panel.example.org\n    project: shop\n    services: [web]\n    address: https://shop.example.org\n    \
                       registry: ghcr.io/shop\n    state: { bucket: records, region: fr-par, provider: scaleway }\n    \
                       settings: { UPLOAD_DIR: /data, DATABASE_URL: '', S3_SECRET_ACCESS_KEY: '', SITE: shop }\n";
    assert_snapshot!(of_target("easypanel", environment, ""), @r#"
    EASYPANEL_TOKEN secret required [Stack] Given
    SCW_ACCESS_KEY secret required [State] Given
    SCW_SECRET_KEY secret required [State] Given
    TF_STATE_PASSPHRASE secret - [Registry] Given
    REGISTRY_HOST - required [Registry] Expression("ghcr.io")
    REGISTRY_USERNAME - required [Registry] Expression("${{ github.actor }}")
    REGISTRY_PASSWORD secret required [Registry] Expression("${{ secrets.GITHUB_TOKEN }}")
    NPM_TOKEN secret required [Build] Given
    MAIL_KEY secret - [Settings] Given
    OTEL_EXPORTER_OTLP_HEADERS secret - [Settings] Given
    "#);
}

/// What an environment with these lines and this stack needs, a line each.
fn shown(environment: &str, stack: &str) -> String {
    of_target("scaleway", environment, stack)
}

fn of_target(target: &str, environment: &str, stack: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let yaml = format!(
        "project: shop\nservice: {{ package: app, settings: settings.json, readiness: /ready }}\n\
         image: {{ secrets: [NPM_TOKEN] }}\nnotify:\n  - {{ url_env: CHAT_URL, format: slack }}\n  - {{ url_env: OTHER_URL, format: discord, environments: [local] }}\nenvironments:\n  local: {{ target: local, port: 3000 }}\n  \
         production:\n    target: {target}\n{environment}"
    );
    fs_err::create_dir(root.join("infra")).unwrap();
    fs_err::create_dir(root.join("other")).unwrap();
    for (name, text) in [("deploy.yaml", yaml.as_str()), ("settings.json", SETTINGS), ("infra/main.tf", stack)] {
        fs_err::write(root.join(name), text).unwrap();
    }
    let config = Config::load(&root).unwrap();
    let table = SettingsTable::load(&root, Utf8Path::new("settings.json"), false).unwrap();
    assert_eq!(needs(&config, &config.environments["local"], &table).unwrap(), []);
    let line = |need: Need| {
        let Need { name, secret, required, uses, ci, .. } = need;
        let word = |is: bool, word: &'static str| if is { word } else { "-" };
        format!("{name} {} {} {uses:?} {ci:?}\n", word(secret, "secret"), word(required, "required"))
    };
    needs(&config, &config.environments["production"], &table).unwrap().into_iter().map(line).collect()
}

#[test]
fn a_stack_at_scaleway_needs_its_keys_and_what_nothing_sets() {
    let stack = "provider \"scaleway\" {}\nprovider \"aws\" {\n  alias = \"dns\"\n  access_key = var.dns_key\n}\n\
                 variable \"dns_key\" {\n  sensitive = true\n}\nvariable \"region\" {}\nvariable \"namespace_id\" {\n  \
                 default = null\n}\nvariable \"size\" {\n  default = 1\n}\nvariable \"image\" {}\nlocals {\n  made = {\n    \
                 S3_SECRET_ACCESS_KEY = scaleway_iam_api_key.service.secret_key\n  }\n}\n";
    let environment = "    registry: rg.fr-par.scw.cloud/shop\n    stack: infra\n    variables: { region: fr-par }\n    \
                       state: { bucket: shop, region: fr-par, provider: scaleway }\n    settings: { UPLOAD_DIR: /data }\n";
    assert_snapshot!(shown(environment, stack), @r#"
    TF_STATE_PASSPHRASE secret required [State, Stack, Registry] Given
    SCW_ACCESS_KEY secret required [State, Stack] Given
    SCW_SECRET_KEY secret required [State, Stack, Registry] Given
    TF_VAR_dns_key secret required [Stack] Given
    TF_VAR_namespace_id - - [Stack] Given
    NPM_TOKEN secret required [Build] Given
    DATABASE_URL secret required [Settings] Given
    MAIL_KEY secret - [Settings] Given
    SITE - required [Settings] Nowhere
    OTEL_EXPORTER_OTLP_HEADERS secret - [Settings, Notify] Given
    COCKPIT_LOGS_URL - - [Logs] Given
    COCKPIT_TOKEN secret - [Logs] Given
    CHAT_URL secret required [Notify] Given
    OTEL_EXPORTER_OTLP_ENDPOINT - - [Notify] Given
    "#);
}

#[test]
fn what_a_stack_makes_is_given_where_deploy_yaml_names_something_else() {
    let stack = "locals {\n  made = {\n    S3_BUCKET = 1\n    S3_SECRET_ACCESS_KEY = 2\n  }\n}\n";
    let environment = |settings: &str| {
        format!(
            "    registry: registry.example.org/shop\n    stack: infra\n    settings: {settings}\n    \
             state: {{ bucket: shop, region: fr-par, provider: scaleway }}\n"
        )
    };
    let key = "S3_SECRET_ACCESS_KEY secret required [Settings] Given";
    assert!(!shown(&environment("{ SITE: a }"), stack).contains(key));
    assert!(shown(&environment("{ S3_BUCKET: other }"), stack).contains(key));
}

#[test]
fn a_role_takes_the_place_of_keys_of_aws() {
    let stack = "terraform {\n  required_providers {\n    cloudflare = {\n      source = \"cloudflare/cloudflare\"\n    }\n  }\n}\n\
                 provider \"aws\" {}\n";
    let environment = "    registry: ghcr.io/shop\n    stack: infra\n    \
                       state: { bucket: shop, region: eu-north-1, provider: aws, encryption: off }\n";
    assert_snapshot!(shown(environment, stack), @r#"
    TF_STATE_PASSPHRASE secret - [State, Stack, Registry] Given
    AWS_ROLE_ARN - required [State, Stack] Alone
    AWS_ACCESS_KEY_ID secret required [State, Stack] Nowhere
    AWS_SECRET_ACCESS_KEY secret required [State, Stack] Nowhere
    CLOUDFLARE_API_TOKEN secret required [Stack] Given
    REGISTRY_HOST - required [Registry] Expression("ghcr.io")
    REGISTRY_USERNAME - required [Registry] Expression("${{ github.actor }}")
    REGISTRY_PASSWORD secret required [Registry] Expression("${{ secrets.GITHUB_TOKEN }}")
    NPM_TOKEN secret required [Build] Given
    "#);
}

#[test]
fn another_bucket_takes_the_names_of_aws_for_its_keys() {
    let environment = "    registry: registry.example.org/shop\n    stack: infra\n    \
                       state: { bucket: shop, region: auto, provider: other, endpoint: 'https://s3.example.org' }\n";
    assert_snapshot!(shown(environment, "provider \"aws\" {}\n"), @r#"
    TF_STATE_PASSPHRASE secret required [State, Stack, Registry] Given
    AWS_ACCESS_KEY_ID secret required [State, Stack] Given
    AWS_SECRET_ACCESS_KEY secret required [State, Stack] Given
    REGISTRY_HOST - required [Registry] Given
    REGISTRY_USERNAME - required [Registry] Given
    REGISTRY_PASSWORD secret required [Registry] Given
    NPM_TOKEN secret required [Build] Given
    "#);
}

#[test]
fn the_stack_of_the_media_needs_its_keys_and_its_variables_by_names_of_their_own() {
    let stack = "provider \"aws\" {}\nvariable \"bucket\" {}\nvariable \"domain\" {\n  default = null\n}\n";
    let media = "    media: { stack: infra, variables: { bucket: a }, settings: { S3_SECRET_ACCESS_KEY: secret }, \
                 state: { bucket: media, region: eu-north-1, provider: aws } }\n";
    let environment = |state: &str| {
        format!(
            "    registry: registry.example.org/shop\n    stack: other\n    variables: {{ size: 1 }}\n    {state}\n    \
             settings: {{ SITE: a, UPLOAD_DIR: b }}\n{media}"
        )
    };
    let named = |state: &str| {
        let shown = shown(&environment(state), stack);
        let of_media =
            shown.lines().filter(|line| ["AWS_", "MEDIA_", "SCW_", "S3_"].iter().any(|begin| line.starts_with(begin)));
        of_media.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_snapshot!(named("state: { bucket: shop, region: fr-par, provider: scaleway }"), @r"
    SCW_ACCESS_KEY secret required [State, Stack] Given
    SCW_SECRET_KEY secret required [State, Stack] Given
    AWS_ROLE_ARN - required [State, Stack] Alone
    AWS_ACCESS_KEY_ID secret required [State, Stack] Nowhere
    AWS_SECRET_ACCESS_KEY secret required [State, Stack] Nowhere
    MEDIA_TF_VAR_domain - - [Stack] Given
    ");
    let other = "state: { bucket: shop, region: auto, provider: other, endpoint: 'https://s3.example.org' }";
    assert_snapshot!(named(other), @r"
    AWS_ACCESS_KEY_ID secret required [State, Stack] Given
    AWS_SECRET_ACCESS_KEY secret required [State, Stack] Given
    MEDIA_AWS_ACCESS_KEY_ID secret required [State, Stack] Given
    MEDIA_AWS_SECRET_ACCESS_KEY secret required [State, Stack] Given
    MEDIA_TF_VAR_domain - - [Stack] Given
    ");
}

#[test]
fn an_environment_without_a_stack_needs_its_registry() {
    assert_snapshot!(shown("    registry: rg.fr-par.scw.cloud/shop\n", ""), @r#"
    TF_STATE_PASSPHRASE secret - [State, Stack, Registry] Given
    SCW_SECRET_KEY secret required [Registry] Given
    NPM_TOKEN secret required [Build] Given
    "#);
}
