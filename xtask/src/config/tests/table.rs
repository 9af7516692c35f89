//! settings.json, and the settings in deploy.yaml.

use camino::Utf8Path;
use insta::assert_snapshot;

use super::{SMALLEST, positions};
use crate::config::settings::Kind;
use crate::config::{Config, ConfigError, SettingsTable, SuppliedBy};

const TABLE: &str = r#"{
  "schema": 1,
  "settings": [
    { "name": "DATABASE_URL", "help": "🎉", "kind": "url", "default": null, "required": true, "secret": true, "supplied_by": "postgres" },
    { "name": "UPLOADS", "help": "", "kind": "path", "values": [], "default": null, "required": true, "secret": false, "supplied_by": "data-folder:uploads" },
    { "name": "PORT", "help": "", "kind": "port", "default": "3000", "required": false, "secret": false, "supplied_by": "port" },
    { "name": "LOG", "help": "", "kind": "choice", "values": ["json", "pretty"], "default": "json", "required": false, "secret": false, "supplied_by": null },
    { "name": "DEPTH", "help": "", "kind": "integer", "required": false, "secret": false },
    { "name": "COLOUR", "help": "", "kind": "boolean", "required": false, "secret": false },
    { "name": "PUBLIC_URL", "help": "", "kind": "url", "required": false, "secret": false },
    { "name": "PATIENCE", "help": "", "kind": "duration", "required": false, "secret": false },
    { "name": "TITLE", "help": "", "kind": "text", "required": false, "secret": false }
  ]
}
"#;

fn load(json: &str) -> Result<SettingsTable, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    fs_err::write(root.join("settings.json"), json).unwrap();
    SettingsTable::load(root, Utf8Path::new("settings.json"), true)
}

fn refused_with(from: &str, to: &str) -> String {
    assert!(TABLE.contains(from), "{from}");
    load(&TABLE.replacen(from, to, 1)).unwrap_err().to_string()
}

/// The problems of these settings of the environment `local`, and their positions. Each setting is a line of YAML.
fn check(settings: &str) -> (String, Vec<(usize, usize)>) {
    let config = Config::parse(&format!("{SMALLEST}    settings:\n{settings}")).unwrap();
    let problems = load(TABLE).unwrap().check(config.environment("local").unwrap());
    let error = ConfigError::new(problems, 0);
    (error.to_string(), positions(&error))
}

#[test]
fn the_table_is_read() {
    let table = load(TABLE).unwrap();
    assert_eq!(table.settings.len(), 9);
    assert_eq!(table.get("DATABASE_URL").unwrap().supplied_by, Some(SuppliedBy::Postgres));
    assert_eq!(table.get("UPLOADS").unwrap().supplied_by, Some(SuppliedBy::DataFolder("uploads".to_owned())));
    assert_eq!(table.get("LOG").unwrap().kind, Kind::Choice);
    assert_eq!(table.get("PORT").unwrap().default.as_deref(), Some("3000"));
    assert_eq!(table.get("nothing"), None);
}

#[test]
fn a_broken_table_is_refused_at_its_position() {
    assert_snapshot!(refused_with("\"schema\": 1", "\"schema\": 2, \"new\": []"), @r"
    settings.json:1:1: schema: found version 2, expected 1
      use a toolkit and a service with the same version of the settings table
    ");
    assert_snapshot!(refused_with("\"schema\": 1,", ""), @r"
    settings.json:14:1: missing field `schema`
      let the service write the file again: cargo xtask render
    ");
    assert_snapshot!(refused_with("\"schema\": 1,", "\"schema\": 1"), @r"
    settings.json:3:3: expected `,` or `}`
      let the service write the file again: cargo xtask render
    ");
    assert_snapshot!(refused_with("\"kind\": \"path\"", "\"kid\": \"path\""), @r"
    settings.json:5:42: settings[1].kid: unknown key
      did you mean `kind`? Known keys: default, help, kind, name, required, secret, supplied_by, values
    ");
    assert_snapshot!(refused_with("\"kind\": \"path\"", "\"kind\": \"pth\""), @r"
    settings.json:5:50: settings[1].kind: unknown value `pth`
      did you mean `path`? Known values: boolean, choice, duration, integer, path, port, rsa-key, text, url
    ");
    assert_snapshot!(refused_with("data-folder:uploads", "data-folder:../up"), @r"
    settings.json:5:155: settings[1].supplied_by: unknown value `data-folder:../up`
      did you mean `data-folder:NAME`? Known values: data-folder:NAME, host, port, postgres, random, version, web-folder
    ");
    assert_snapshot!(refused_with("\"secret\": true", "\"secret\": \"yes\""), @r#"
    settings.json:4:111: settings[0].secret: invalid type: string "yes", expected a boolean
      let the service write the file again: cargo xtask render
    "#);
    assert_snapshot!(refused_with(", \"kind\": \"path\"", ""), @r"
    settings.json:5:5: settings[1]: missing field `kind`
      let the service write the file again: cargo xtask render
    ");
    assert_snapshot!(refused_with("\"UPLOADS\"", "\"DATABASE_URL\""), @r"
    settings.json:5:5: settings[1].name: DATABASE_URL is repeated
      let the service write the file again: cargo xtask render
    ");
    assert_snapshot!(refused_with("\"default\": \"3000\"", "\"default\": \"many\""), @r"
    settings.json:6:5: settings[2].default: PORT: the default does not fit the kind: expected a port number from 0 to 65535
      let the service write the file again: cargo xtask render
    ");
    assert_snapshot!(refused_with("[\"json\", \"pretty\"]", "[]"), @r"
    settings.json:7:5: settings[3].values: LOG: a choice needs `values`, and no other kind may have them
      let the service write the file again: cargo xtask render
    ");
    assert_snapshot!(load("").unwrap_err(), @r"
    settings.json:1:1: EOF while parsing a value
      let the service write the file again: cargo xtask render
    ");
    assert_snapshot!(load("{} {}").unwrap_err(), @r"
    settings.json:1:2: missing field `schema`
      let the service write the file again: cargo xtask render
    ");
}

#[test]
fn a_missing_table_says_how_to_have_it_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    let error = SettingsTable::load(root, Utf8Path::new("app/settings.json"), true).unwrap_err();
    assert_snapshot!(error.to_string().replace(root.as_str(), "/project"), @r"
    app/settings.json: not found; looked for /project/app/settings.json
      let the service write the file again: cargo xtask render
    ");
}

#[test]
fn valid_settings_pass() {
    let fitting = "      PORT: 0
      LOG: pretty
      DEPTH: -3
      COLOUR: true
      PUBLIC_URL: postgres:///shop?host=/run
      PATIENCE: 1h 30m
      UPLOADS: /srv/uploads
      TITLE: 12
";
    assert_eq!(check(fitting), (String::new(), vec![]));
}

#[test]
fn invalid_settings_are_refused_at_their_position() {
    let (said, places) = check(
        "      TITEL: Shop
      PORT: 65536
      LOG: jsn
      DEPTH: 1.5
      COLOUR: yes
      PUBLIC_URL: localhost:3000
      PATIENCE: 90
      UPLOADS: ''
",
    );
    assert_snapshot!(said, @r"
    deploy.yaml:11:7: environments.local.settings.TITEL: the service has no such setting
      did you mean `TITLE`? Known settings: COLOUR, DATABASE_URL, DEPTH, LOG, PATIENCE, PORT, PUBLIC_URL, TITLE, UPLOADS
    deploy.yaml:12:13: environments.local.settings.PORT: found `65536`, expected a port number from 0 to 65535
      for example `PORT: 3000`
    deploy.yaml:13:12: environments.local.settings.LOG: found `jsn`, expected one of json, pretty
      did you mean `json`? Known values: json, pretty
    deploy.yaml:14:14: environments.local.settings.DEPTH: found `1.5`, expected a whole number
      for example `DEPTH: 100`
    deploy.yaml:15:15: environments.local.settings.COLOUR: found `yes`, expected true or false
      for example `COLOUR: true`
    deploy.yaml:16:19: environments.local.settings.PUBLIC_URL: found `localhost:3000`, expected a URL with its scheme
      for example `PUBLIC_URL: https://example.com`
    deploy.yaml:17:17: environments.local.settings.PATIENCE: found `90`, expected a duration with its unit
      for example `PATIENCE: 90s`
    deploy.yaml:18:16: environments.local.settings.UPLOADS: found ``, expected a path
      for example `UPLOADS: /var/lib/service`
    ");
    assert_eq!(places, [(11, 7), (12, 13), (13, 12), (14, 14), (15, 15), (16, 19), (17, 17), (18, 16)]);
}

#[test]
fn a_secret_in_plain_is_refused_and_not_repeated() {
    let (said, _) = check("      DATABASE_URL: postgres://shop:hunter22@db/shop\n");
    assert_snapshot!(said, @r"
    deploy.yaml:11:7: environments.local.settings.DATABASE_URL: a secret must not be in deploy.yaml
      remove it, change its value, and put that into the environment or `.env.local`
    ");
    assert!(!said.contains("hunter22"));
}

#[test]
fn a_private_key_is_a_secret() {
    let said = refused_with(r#""kind": "text""#, r#""kind": "rsa-key""#);
    assert!(said.contains("settings[8].secret: TITLE: a private key must be secret"), "{said}");
}

#[test]
fn every_problem_of_a_table_is_told_at_once() {
    let table = r#"{ "schema": 1, "settings": [
  { "name": "ONE" },
  { "name": "TWO", "help": "", "kind": "txt", "required": false, "secret": false },
  { "name": "THREE", "help": "", "kind": "text", "required": 1, "secret": false },
  { "name": "FOUR", "help": "", "kind": "text", "required": false, "secret": false }
] }"#;
    assert_snapshot!(load(table).unwrap_err(), @r#"
    settings.json:2:3: settings[0]: missing fields `help`, `kind`, `required`, `secret`
      let the service write the file again: cargo xtask render
    settings.json:3:44: settings[1].kind: unknown value `txt`
      did you mean `text`? Known values: boolean, choice, duration, integer, path, port, rsa-key, text, url
    settings.json:4:62: settings[2].required: invalid type: integer `1`, expected a boolean
      let the service write the file again: cargo xtask render
    "#);
}

#[test]
fn the_problems_of_both_files_are_told_at_once_with_the_smallest_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    fs_err::write(root.join("deploy.yaml"), "project: shop\nservice:\n  package: app\n  settings: settings.json\n")
        .unwrap();
    let told = || Config::load(root).unwrap_err().to_string().replace(root.as_str(), "/project");
    assert_snapshot!(told(), @r#"
    deploy.yaml:1:1: environments: missing
      add `environments: { local: { target: local, port: 3000 } }`
    deploy.yaml:2:1: service.readiness: missing
      add `readiness: /health`
    settings.json: not found; looked for /project/settings.json
      create it, or let the service write it: `service.schema` in deploy.yaml
    the smallest deploy.yaml is, for example:
      project: my-service
      service:
        package: my-service
        port_variable: PORT
        readiness: /ready
      environments:
        local:
          target: local
          port: 3000
    the smallest settings.json is, for example:
      {
        "schema": 1,
        "settings": [
          { "name": "SERVICE_VERSION", "help": "The release that runs", "kind": "text", "required": false, "secret": false,
            "supplied_by": "version" }
        ]
      }
    "#);
    fs_err::write(root.join("settings.json"), r#"{ "schema": 1, "settings": [{ "name": "A" }] }"#).unwrap();
    assert_snapshot!(told(), @r#"
    deploy.yaml:1:1: environments: missing
      add `environments: { local: { target: local, port: 3000 } }`
    deploy.yaml:2:1: service.readiness: missing
      add `readiness: /health`
    settings.json:1:29: settings[0]: missing fields `help`, `kind`, `required`, `secret`
      correct the file
    the smallest deploy.yaml is, for example:
      project: my-service
      service:
        package: my-service
        port_variable: PORT
        readiness: /ready
      environments:
        local:
          target: local
          port: 3000
    the smallest settings.json is, for example:
      {
        "schema": 1,
        "settings": [
          { "name": "SERVICE_VERSION", "help": "The release that runs", "kind": "text", "required": false, "secret": false,
            "supplied_by": "version" }
        ]
      }
    "#);
}

#[test]
fn the_smallest_files_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    let count = |yaml: &str| {
        fs_err::write(root.join("deploy.yaml"), yaml).unwrap();
        Config::load(root).unwrap().settings_table().unwrap().settings.len()
    };
    assert_eq!(count(crate::config::EXAMPLE), 0);
    fs_err::write(root.join("settings.json"), crate::config::settings::EXAMPLE).unwrap();
    assert_eq!(count(&crate::config::EXAMPLE.replace("port_variable: PORT", "settings: settings.json")), 1);
}
