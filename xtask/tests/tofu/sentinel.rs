//! A secret with characters that shells, templates and JSON interpret reaches the container unchanged, and nothing else.

use std::cell::RefCell;
use std::path::Path;

use serde_json::{Value, json};

use crate::secrets::files;
use crate::site::{PASSPHRASE, Site, write_env};
use devservers::Versitygw;
use testkit::{Ran, machine, until};

/// It must never be shown.
const SECRET: &str =
    "sentinel-7c40 \"quoted\" it's $HOME ${not} %{expanded} $${twice} %% \\n \\ back ä 🦀\nsentinel, line two\n";

/// As an HCL string, in which templates are escaped.
fn as_hcl(secret: &str) -> String {
    json!(secret).to_string().replace("${", "$${").replace("%{", "%%{")
}

#[test]
fn a_secret_reaches_the_container_unchanged_and_nothing_else() {
    let test = "a_secret_reaches_the_container_unchanged_and_nothing_else";
    let Some(site) = crate::stacks::site::<Versitygw>(test, "scaleway") else { return };
    let secrets = |value: &str| format!("{{ DATABASE_URL = \"postgres://a:b@db/a\", JWT_SECRET = {} }}", as_hcl(value));
    let others = variables_without_secrets(&site);
    let page = site.project.root.join("page.md");
    let said = RefCell::new(String::new());
    let keep = |ran: Ran, code| {
        let ran = ran.expect(code);
        said.borrow_mut().push_str(&(ran.stdout + &ran.stderr));
    };

    // From the file, in single quotes.
    let quoted = secrets(SECRET).replace('\'', "\\'");
    write_env(&site.project.root, PASSPHRASE, &format!("{others}TF_VAR_secrets='{quoted}'\n"));
    keep(site.run(&["plan", "production", "--markdown", page.to_str().unwrap()]), 10);
    keep(site.run(&["plan", "production", "--json"]), 10);
    // A provider whose error repeats it.
    let repeats = format!("cannot set JWT_SECRET to {SECRET}, in JSON {}", json!(SECRET));
    site.cloud().faults(&json!([{ "type": "scaleway_container", "times": 1, "fault": { "fail": repeats } }])).unwrap();
    let approval = site.approval();
    let applying = site.start(&["apply", "production", "--approve", &approval]);
    let mut arguments = String::new();
    until("it is applied", || {
        arguments = machine::all_command_lines();
        arguments.contains("plan.tfplan")
    });
    let failed = applying.end().expect(1);
    assert!(failed.stderr.contains("cannot set JWT_SECRET to [redacted]"), "{}", failed.stderr);
    said.borrow_mut().push_str(&format!("{}{:#?}", failed.stderr, failed.events));
    let approval = site.approval();
    keep(site.run(&["apply", "production", "--approve", &approval]), 0);
    assert_eq!(secret_of(&site), SECRET);

    // From the environment, if the file does not set it.
    write_env(&site.project.root, PASSPHRASE, &others);
    let another = format!("another {SECRET}");
    let with = |args: &[&str]| Ran::of(site.command(args).env("TF_VAR_secrets", secrets(&another)));
    let plan = with(&["plan", "production"]);
    assert!(plan.stdout.contains("~ update   scaleway_container.service  secret_environment_variables\n"), "{plan:?}");
    let approval = plan.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    keep(plan, 10);
    keep(with(&["apply", "production", "--approve", &approval]), 0);
    assert_eq!(secret_of(&site), another);
    keep(with(&["plan", "production"]), 0);
    keep(site.run(&["output", "production"]), 0);

    let said = said.into_inner();
    assert!(!said.contains("sentinel"), "{said}");
    // Other tests use other secrets.
    let arguments: Vec<&str> = arguments.lines().filter(|line| line.contains("sentinel-7c40")).collect();
    assert_eq!(arguments, Vec::<&str>::new());
    let mut looked_at = 0;
    let is_kept = |path: &Path| {
        // The test's own files have the word.
        path.ends_with(".env.production")
            || path.components().any(|part| [".git", "tests"].iter().any(|it| part.as_os_str() == *it))
    };
    for folder in [&site.project.root, &site.storage.bucket("states")] {
        files(folder, &mut |path| {
            if !is_kept(path) {
                looked_at += 1;
                let text = String::from_utf8_lossy(&fs_err::read(path).unwrap()).into_owned();
                assert!(!text.contains("sentinel"), "{}", path.display());
            }
        });
    }
    assert!(looked_at > 20, "{looked_at}");
}

/// What `.env.production` sets, but for the credentials of the state and TF_VAR_secrets.
fn variables_without_secrets(site: &Site) -> String {
    let env = site.project.read(".env.production");
    let others = env.lines().skip(3).filter(|line| !line.starts_with("TF_VAR_secrets"));
    others.map(|line| format!("{line}\n")).collect()
}

/// What the container got.
fn secret_of(site: &Site) -> String {
    let (_, container) = site.cloud().only("scaleway_container");
    let Value::String(secret) = &container["secret_environment_variables"]["JWT_SECRET"] else {
        panic!("{container:#}")
    };
    secret.clone()
}

#[test]
fn a_secret_that_is_too_long_is_refused_before_the_plan() {
    let test = "a_secret_that_is_too_long_is_refused_before_the_plan";
    let Some(site) = crate::stacks::site::<Versitygw>(test, "scaleway") else { return };
    write_env(&site.project.root, PASSPHRASE, &variables_without_secrets(&site));
    let long = format!("{{ JWT_SECRET = \"sentinel{}\" }}", "ä".repeat(32_765));
    let refused = Ran::of(site.command(&["plan", "production"]).env("TF_VAR_secrets", long)).expect(1);
    let refused = refused.says(&["infra/scaleway/variables_service.tf:", "JWT_SECRET longer than 65536 bytes"]);
    assert!(!refused.stderr.contains("sentinel"), "{}", refused.stderr);
    let empty = "{ DATABASE_URL = \"postgres://a:b@db/a\", JWT_SECRET = \"\" }";
    let refused = Ran::of(site.command(&["plan", "production"]).env("TF_VAR_secrets", empty)).expect(1);
    refused.says(&["JWT_SECRET empty: the provider does not send an empty secret"]);
    let nothing = "{ JWT_SECRET = \"short\", NO_SETTING = \"a\" }";
    let refused = Ran::of(site.command(&["plan", "production"]).env("TF_VAR_secrets", nothing)).expect(1);
    refused.says(&["NO_SETTING not secret in"]);
}
