use serde_json::Value;

use super::super::{Config, EXAMPLE};
use super::*;

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft7::new(schema).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The YAML files of this repository: its own, and those of the fixtures.
fn files() -> Vec<(String, String)> {
    let root = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures =
        ["node", "fixture", "foreign", "ledger", "queries", "contained"].map(|name| root.join("tests").join(name));
    let own = root.parent().unwrap().to_owned();
    let read = |folder: &camino::Utf8PathBuf| {
        let file = folder.join("deploy.yaml");
        fs_err::read_to_string(&file).map(|text| (file.to_string(), text)).unwrap()
    };
    let mut files: Vec<_> = fixtures.iter().chain([&own]).map(read).collect();
    let hooks = "github: { workflows: { ci: { after_test: [{ run: make lint }] }, prune: off } }";
    files.insert(0, ("with hooks".to_owned(), format!("{}\n{hooks}\n", files[0].1)));
    files
}

#[test]
fn every_key_has_a_meaning_a_kind_and_an_example_of_it() {
    let reference = Reference::new();
    assert!(reference.keys().count() > 100, "{}", reference.keys().count());
    for entry in reference.keys() {
        let (path, meaning) = (&entry.path, entry.meaning.unwrap_or_default());
        assert!(meaning.ends_with('.') && meaning.len() > 10, "{path}: {meaning}");
        assert!(entry.kinds().iter().all(|kind| !kind.is_empty()) && !entry.kinds().is_empty(), "{path}");
        let targets: Vec<Option<&str>> = match entry.is_of_some_targets() {
            true => entry.targets.iter().map(|target| Some(*target)).collect(),
            false => vec![None],
        };
        for target in targets {
            let schema = reference.value(path, target);
            let example = yaml(entry.example);
            validator(&schema)
                .validate(&example)
                .unwrap_or_else(|error| panic!("{path}: {example}: {error}\n{schema}"));
        }
    }
}

#[test]
fn every_file_that_the_parser_takes_is_valid_by_the_schema() {
    let validator = validator(&Reference::new().schema());
    for (name, text) in files().into_iter().chain([("the smallest".to_owned(), EXAMPLE.to_owned())]) {
        Config::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let errors: Vec<String> = validator.iter_errors(&yaml(&text)).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{name}");
    }
}

#[test]
fn what_the_parser_refuses_for_its_shape_is_not_valid_by_the_schema() {
    let validator = validator(&Reference::new().schema());
    let (_, stack) = files().pop().unwrap();
    for (from, to) in [
        ("project: my-service\n", ""),
        ("project: my-service", "projekt: my-service"),
        ("project: my-service", "project: 1"),
        ("port: 3000", "port: '3000'"),
        ("port: 3000", "port: 30.5"),
        ("port: 3000", "prt: 3000"),
        ("target: local", "target: nowhere"),
        ("    target: local\n", ""),
        ("port: 3000", "port: 3000\n    registry: ghcr.io/me"),
        ("port: 3000", "port: 3000\n    postgres: mine"),
        ("port_variable: PORT", "command: { a: b }"),
        ("port_variable: PORT", "files: server.js"),
        ("port_variable: PORT", "env: { A: { secrt: true } }"),
        ("port_variable: PORT", "image: 1"),
        ("port_variable: PORT", "env: { A: [] }"),
        ("port_variable: PORT", "programs: [{ name: cc }]"),
        ("  local:\n    target: local\n    port: 3000", "  local: []"),
    ] {
        assert!(EXAMPLE.contains(from), "{from}");
        let text = EXAMPLE.replacen(from, to, 1);
        Config::parse(&text).unwrap_err();
        assert!(!validator.is_valid(&yaml(&text)), "{text}");
    }
    for (from, to) in [
        ("state: {", "state: { colour: red, "),
        ("    stack: infra/scaleway\n    state: ", "    stack: infra/scaleway\n    status: "),
        ("gate: { timeout: 300 }", "gate: 300"),
        ("provider: scaleway", "provider: mine"),
    ] {
        assert!(stack.contains(from), "{from}");
        let text = stack.replacen(from, to, 1);
        Config::parse(&text).unwrap_err();
        assert!(!validator.is_valid(&yaml(&text)), "{text}");
    }
}

#[test]
fn a_key_is_found_by_its_path_by_its_end_and_by_a_path_of_a_file() {
    let reference = Reference::new();
    let paths = |topic: &str| reference.find(topic).iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>();
    assert_eq!(paths("service.port_variable"), ["service.port_variable"]);
    assert_eq!(paths("port_variable"), ["service.port_variable"]);
    assert_eq!(paths("environments.media"), ["environments.NAME.media"]);
    assert_eq!(paths("environments.production.media.stack"), ["environments.NAME.media.stack"]);
    assert_eq!(paths("notify.url"), ["notify[].url"]);
    assert_eq!(paths("notify[0].url"), ["notify[].url"]);
    // A port of this machine is another than that of a Docker host.
    assert_eq!(paths("environments.local.port").len(), 2);
    assert_eq!(paths("service.env.LOG_LEVEL"), ["service.env"]);
    assert_eq!(paths("service.port"), [""; 0]);
    assert_eq!(reference.nearest("service.port_varible"), Some("service.port_variable"));
    assert_eq!(reference.nearest("readyness"), Some("service.readiness"));
    assert_eq!(reference.nearest("zzz"), None);
}

#[test]
fn the_targets_are_those_of_the_parser() {
    let reference = Reference::new();
    let words: Vec<&Shape> = reference.find(TARGET).iter().flat_map(|entry| &entry.shapes).collect();
    assert_eq!(words, [&Shape::Words(TARGETS.to_vec())]);
    let of = |topic: &str| reference.find(topic)[0].targets.clone();
    assert_eq!(of("environments.postgres"), ["local"]);
    assert_eq!(of("environments.media.settings"), ["scaleway", "compose"]);
    assert_eq!(of("service.env"), TARGETS);
}
