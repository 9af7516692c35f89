//! A service that is no cargo package, and variables that deploy.yaml declares.

use camino::Utf8PathBuf;
use insta::assert_snapshot;

use super::{refused, refused_with};
use crate::config::{Config, SuppliedBy};

/// A service with these lines below `service`.
fn with(lines: &str) -> String {
    format!(
        "project: shop\nservice:\n  readiness: /health\n{lines}\nenvironments:\n  local: {{ target: local, port: 3000 }}\n"
    )
}

fn parse(lines: &str) -> Config {
    Config::parse(&with(lines)).unwrap()
}

#[test]
fn a_service_takes_no_more_than_a_health_path() {
    let service = parse("").service;
    assert_eq!((service.package.as_str(), service.binary.as_str(), service.settings), ("shop", "shop", None));
    assert_eq!((service.command, service.files.len(), service.env.len()), (None, 0, 0));
    assert!(parse("").settings_table().unwrap().settings.is_empty());
}

#[test]
fn a_command_is_a_list_or_a_text() {
    let words = |command: &str| parse(&format!("  command: {command}")).service.command.unwrap();
    assert_eq!(words("[node, 'a b.js']"), ["node", "a b.js"]);
    assert_eq!(words("node 'a b.js' --port=1"), ["node", "a b.js", "--port=1"]);
    assert_eq!(words("target/server"), ["target/server"]);
    let service = parse("  command: ./server\n  build: [go, build, -o, server]\n  files: [server, public]").service;
    assert_eq!(service.build.unwrap(), ["go", "build", "-o", "server"]);
    assert_eq!(service.files, ["server", "public"].map(Utf8PathBuf::from));
}

#[test]
fn a_command_that_cannot_be_run_is_refused() {
    assert_snapshot!(refused(&with("  command: npm ci && npm start")), @r"
    deploy.yaml:4:12: service.command: found `&&`, which only a shell understands
      run a script, or a shell: `[sh, -c, '…']`
    ");
    assert_snapshot!(refused(&with("  command: []")), @r"
    deploy.yaml:4:12: service.command: found a list, expected a command: a list of arguments, or a text
      for example `command: [node, server.js]`
    ");
    assert_snapshot!(refused(&with("  command: ../server")), @r"
    deploy.yaml:4:12: service.command: found the program `../server`, expected the name of one on the PATH, or its path in the project
      for example `[node, server.js]` or `[target/server, --verbose]`
    ");
    assert_snapshot!(refused(&with("  command: \"it's\"")), @r#"
    deploy.yaml:4:12: service.command: found the text `it's`, expected a command: a list of arguments, or a text
      for example `command: [node, server.js]`
    "#);
}

#[test]
fn what_is_for_a_cargo_package_does_not_fit_a_command() {
    assert_snapshot!(refused(&with("  command: server/run\n  package: app\n  args: [serve]")), @r"
    deploy.yaml:5:3: service.package: is for a cargo package, and `command` says what runs
      keep one of the two
    deploy.yaml:6:3: service.args: is for a cargo package, and `command` says what runs
      keep one of the two
    ");
    assert_snapshot!(refused(&with("  build: [make]")), @r"
    deploy.yaml:4:3: service.build: cargo builds the package
      remove it, or name a `command` that runs what this builds
    ");
    assert_snapshot!(refused(&with("  settings: s.json\n  env: { A: b }")), @r"
    deploy.yaml:5:3: service.env: is for a service without a file of settings
      keep one of `env` and `settings`
    ");
    assert_snapshot!(refused(&with("  schema: [config]")), @r"
    deploy.yaml:4:3: service.schema: has no file to write
      name one: `settings: settings.json`
    ");
}

#[test]
fn variables_are_declared_in_place_of_a_file_of_settings() {
    let config = parse(
        "  env:\n    LEVEL: 1.10\n    KEY: { secret: true, generate: 24 }\n    DATABASE_URL: { secret: true, supplied_by: postgres }\n    \
         FILES: { supplied_by: data-folder:files }\n    NAME:\n    NOTE: { required: false, help: 'A note' }",
    );
    let table = config.settings_table().unwrap();
    let of = |name: &str| table.get(name).unwrap().clone();
    assert_eq!(table.settings.len(), 6);
    assert_eq!((of("KEY").secret, of("KEY").supplied_by), (true, Some(SuppliedBy::Random)));
    assert_eq!((of("DATABASE_URL").secret, of("DATABASE_URL").supplied_by), (true, Some(SuppliedBy::Postgres)));
    assert_eq!(of("FILES").supplied_by, Some(SuppliedBy::DataFolder("files".to_owned())));
    assert_eq!((of("NAME").required, of("NAME").secret, of("LEVEL").required), (true, false, false));
    assert_eq!((of("NOTE").required, of("NOTE").help.as_str()), (false, "A note"));
    let bytes: Vec<_> = config.service.env.iter().filter_map(|variable| variable.bytes).collect();
    assert_eq!(bytes, [24]);
    let settings = config.environment("local").unwrap().settings.clone().unwrap();
    assert_eq!(settings.into_iter().collect::<Vec<_>>(), [("LEVEL".to_owned(), "1.10".to_owned())]);
}

#[test]
fn an_environments_own_value_comes_first_and_a_stack_without_settings_stays_one() {
    let yaml = with("  env: { A: a, B: b }").replace("port: 3000 }", "port: 3000, settings: { A: x } }")
        + "  images: { target: scaleway, registry: rg.fr-par.scw.cloud/shop }\n";
    let config = Config::parse(&yaml).unwrap();
    let local = config.environment("local").unwrap().settings.clone().unwrap();
    assert_eq!(local.into_values().collect::<Vec<_>>(), ["x", "b"]);
    assert_eq!(config.environment("images").unwrap().settings, None);
    assert!(config.settings_table().unwrap().check(config.environment("local").unwrap()).is_empty());
}

#[test]
fn the_variables_of_a_socket_are_the_toolkits_and_a_version_may_be_a_number() {
    let refused = refused(&with("  env: { LISTEN_FDS: 1, LISTEN_ADDR: '::' }"));
    assert!(refused.contains("service.env.LISTEN_FDS: says that a socket is handed over"), "{refused}");
    assert!(!refused.contains("LISTEN_ADDR"), "{refused}");
    Config::parse(&format!("toolkit: 0.2\n{}", with(""))).unwrap();
}

#[test]
fn what_the_media_give_comes_before_a_variables_value_and_their_stack_runs_no_service() {
    let yaml = with("  env: { S3_BUCKET: dev, LEVEL: info }")
        + "  prod:\n    target: scaleway\n    registry: rg.fr-par.scw.cloud/shop\n    settings: {}\n    stack: infra\n    \
           state: { bucket: shop-state, region: fr-par, provider: scaleway, key: a.tfstate }\n    \
           media: { stack: infra/aws, settings: { S3_BUCKET: bucket } }\n";
    let config = Config::parse(&yaml).unwrap();
    let settings = |name: &str| config.environments[name].settings.clone();
    let of = |name: &str| settings(name).unwrap().into_iter().collect::<Vec<_>>();
    let level = ("LEVEL".to_owned(), "info".to_owned());
    assert_eq!(of("prod"), std::slice::from_ref(&level));
    assert_eq!(of("local"), [level, ("S3_BUCKET".to_owned(), "dev".to_owned())]);
    assert_eq!(settings("prod-media"), None);
}

#[test]
fn a_variable_that_contradicts_itself_is_refused() {
    let env = |entry: &str| refused(&with(&format!("  port_variable: PORT\n  env: {{ {entry} }}")));
    assert_snapshot!(env("KEY: { secret: false, generate: 32 }"), @r"
    deploy.yaml:5:42: service.env.KEY.generate: a generated value is secret
      write `secret: true`
    ");
    assert_snapshot!(env("KEY: { generate: 8 }"), @r"
    deploy.yaml:5:27: service.env.KEY.generate: found the number `8`, expected a number of random bytes from 16 to 256
      for example `generate: 32`
    ");
    assert_snapshot!(env("KEY: { generate: 32, supplied_by: postgres }"), @r"
    deploy.yaml:5:44: service.env.KEY.supplied_by: found both `generate` and `supplied_by`
      keep one of the two
    ");
    assert_snapshot!(env("KEY: { secrt: true }"), @r"
    deploy.yaml:5:17: service.env.KEY.secrt: unknown key
      did you mean `secret`? Known keys: generate, help, required, secret, supplied_by
    ");
    assert_snapshot!(env("KEY: { secret: maybe }"), @r"
    deploy.yaml:5:25: service.env.KEY.secret: found the text `maybe`, expected true or false
      for example `secret: true`
    ");
    assert_snapshot!(env("PORT: 80"), @r"
    deploy.yaml:5:10: service.env.PORT: is the `port_variable`, which the toolkit sets
      remove it
    ");
    assert_snapshot!(env("log-level: info"), @r"
    deploy.yaml:5:10: service.env.log-level: not the name of an environment variable: expected A–Z, 0–9 and `_`
      remove it
    ");
}

#[test]
fn a_misspelt_command_is_named() {
    assert_snapshot!(refused_with("  package: app", "  comand: app"), @r"
    deploy.yaml:3:3: service.comand: unknown key
      did you mean `command`? Known keys: args, binary, command, files, first_visit, image, migrations, package, port_variable, programs, readiness, schema, settings, web
    ");
}

#[test]
fn what_an_image_makes_needless_is_told_and_nothing_else() {
    let said = refused(&with("  image: true\n  command: node a.js\n  port_variable: PORT"));
    assert!(said.contains("service.command") && !said.contains("unknown key"), "{said}");
}
