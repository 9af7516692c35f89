//! `app config`, and startup with an invalid environment.

use std::process::{Command, Output};

use serde_json::Value;

fn app(arguments: &[&str], vars: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_app")).args(arguments).env_clear().envs(vars.iter().copied()).output().unwrap()
}

const GOOD: [(&str, &str); 4] = [
    ("DATABASE_URL", "postgres://user:sentinel-password@localhost/db?host=/run/nowhere"),
    ("UPLOAD_DIR", "/nowhere"),
    ("JWT_SECRET", "sentinel-jwt-secret-0123456789abcdef"),
    ("BOOTSTRAP_TOKEN", "sentinel-bootstrap-0123456789abcdef"),
];

#[test]
fn config_check_prints_ok_or_all_problems() {
    let good = app(&["config", "check"], &GOOD);
    assert!(good.status.success());
    assert_eq!(String::from_utf8(good.stdout).unwrap(), "OK\n");

    for command in [["config", "check"].as_slice(), &["serve"]] {
        let bad = app(command, &[("DATABASE_URL", "sentinel"), ("JWT_SECRET", "sentinel"), ("PORT", "http")]);
        assert_eq!(bad.status.code(), Some(1));
        let text = String::from_utf8(bad.stderr).unwrap();
        for name in ["DATABASE_URL", "UPLOAD_DIR", "JWT_SECRET", "BOOTSTRAP_TOKEN", "PORT"] {
            assert!(text.contains(&format!("\n  {name} ")), "{name} is not in: {text}");
        }
        assert!(!text.contains("sentinel"), "{text}");
    }
}

#[test]
fn config_check_tells_of_a_variable_that_is_nearly_a_setting() {
    let near = app(&["config", "check"], &[&GOOD[..], &[("S3_BUKET", "sentinel"), ("HOME", "/root")]].concat());
    assert!(near.status.success());
    assert_eq!(String::from_utf8(near.stdout).unwrap(), "OK\n");
    let said = "app: S3_BUKET is set, and the service does not read it: did you mean S3_BUCKET?\n";
    assert_eq!(String::from_utf8(near.stderr).unwrap(), said);
}

#[test]
fn config_schema_describes_every_setting() {
    let schema: Value = serde_json::from_slice(&app(&["config", "schema"], &[]).stdout).unwrap();
    assert_eq!(schema["schema"], 1);
    let settings = schema["settings"].as_array().unwrap();
    let kinds = ["text", "integer", "boolean", "url", "path", "port", "duration", "choice", "rsa-key"];
    for setting in settings {
        assert!(kinds.contains(&setting["kind"].as_str().unwrap()), "{setting}");
        assert!(!setting["help"].as_str().unwrap().is_empty(), "{setting}");
        assert_eq!(setting["kind"] == "choice", !setting["values"].as_array().unwrap().is_empty(), "{setting}");
        assert!(!setting["required"].as_bool().unwrap() || setting["default"].is_null(), "{setting}");
    }
    let supplied = |name: &str| settings.iter().find(|setting| setting["name"] == name).unwrap()["supplied_by"].clone();
    assert_eq!(supplied("DATABASE_URL"), "postgres");
    assert_eq!(supplied("UPLOAD_DIR"), "data-folder:uploads");
    assert_eq!(supplied("LOG_FORMAT"), Value::Null);
}
