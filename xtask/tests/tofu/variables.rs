//! The variables that a release sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::site::Site;
use devservers::http::{HttpServer, Response};
use testkit::Ran;

/// A stack that runs a service.
const STACK: &str = r#"terraform {
  backend "s3" {}
}

variable "image" {
  type = string
}

variable "release" {
  type = string
}

variable "settings" {
  type = map(string)
}

variable "secrets" {
  type      = map(string)
  sensitive = true
}

resource "terraform_data" "container" {
  input = { image = var.image, release = var.release, settings = var.settings, secrets = var.secrets }
}

output "given" {
  value     = terraform_data.container.output
  sensitive = true
}
"#;

/// Values that shells, HCL or JSON could misread.
const ODD: [&str; 18] = [
    "",
    "\"quotes\" and 'others'",
    "back\\slash, \\n, \\u0024{x}, at the end \\",
    "two\nlines\n",
    "tab\tand\rreturn",
    "$ % $$ %% $",
    "${x}",
    "%{if true}yes%{endif}",
    "$${x} $$${x} $$$${x}",
    "%%{x} %%%{x}",
    "{\"a\": [1, \"${b}\"]}",
    "a = b, c: d # e // f /* g */",
    "<<EOT\nhere\nEOT",
    "ä ß 東京 é",
    "🦀👩‍👩‍👧",
    " blanks around ",
    "$(id) `id` && id; id | id",
    "100%",
];

/// A project whose stack runs a service that has these settings, plain and secret.
fn open(test: &str, plain: &[(&str, &str)], secret: &[(&str, &str)]) -> Option<Site> {
    let site = Site::open(test)?;
    let setting = |name: &str, secret: bool| json!({ "name": name, "help": "", "kind": "text", "default": null, "required": false, "secret": secret, "supplied_by": null });
    let settings: Vec<Value> = plain
        .iter()
        .map(|(name, _)| setting(name, false))
        .chain(secret.iter().map(|(name, _)| setting(name, true)))
        .collect();
    let required = json!({ "name": "REQUIRED", "help": "", "kind": "text", "default": null, "required": true, "secret": true, "supplied_by": "random" });
    let settings: Vec<Value> = settings.into_iter().chain([required]).collect();
    site.project.write("settings.json", &json!({ "schema": 1, "settings": settings }).to_string());
    let values: Vec<String> = plain.iter().map(|(name, value)| format!("{name}: {}", json!(value))).collect();
    site.project.edit("deploy.yaml", "variables: { size: 3 }", &format!("settings: {{ {} }}", values.join(", ")));
    site.project.edit("deploy.yaml", "    protect: [terraform_data.media]\n", "");
    site.project.write("infra/main.tf", STACK);
    site.project.commit("A service");
    let mut file = site.project.read(".env.production");
    file.push_str("TF_VAR_image=shop@sha256:0\n");
    for (name, value) in secret {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', "\\n");
        file.push_str(&format!("{name}=\"{value}\"\n"));
    }
    site.project.write(".env.production", &file);
    Some(site)
}

fn given(site: &Site) -> Value {
    serde_json::from_str(&site.run(&["output", "production", "given"]).expect(0).stdout).unwrap()
}

#[test]
fn settings_and_secrets_arrive_unchanged() {
    let names: Vec<(String, String)> = (0..ODD.len()).map(|n| (format!("PLAIN_{n}"), format!("SECRET_{n}"))).collect();
    let secrets: Vec<String> = ODD.iter().map(|odd| format!("{odd} sentinel {odd}")).collect();
    let plain: Vec<(&str, &str)> = names.iter().zip(ODD).map(|((name, _), value)| (name.as_str(), value)).collect();
    let secret: Vec<(&str, &str)> =
        names.iter().zip(&secrets).map(|((_, name), value)| (name.as_str(), value.as_str())).collect();
    let Some(site) = open("settings_and_secrets_arrive_unchanged", &plain, &secret) else { return };
    let ran = site.run(&["plan", "production", "--json"]).expect(10);
    assert!(!(ran.stdout + &ran.stderr).contains("sentinel"));
    site.change();
    let given = given(&site);
    assert_eq!((&given["image"], &given["release"]), (&json!("shop@sha256:0"), &json!(site.project.head())));
    for ((name, value), (kept, hidden)) in plain.iter().zip(&secret) {
        assert_eq!(given["settings"][name], *value, "{name}");
        assert_eq!(given["secrets"][kept], *hidden, "{kept}");
    }
    assert_eq!(given["settings"].as_object().unwrap().len(), plain.len());
    site.run(&["plan", "production"]).expect(0);
    let doctor = Ran::of(&mut site.toolkit(&["doctor", "production"]));
    let line = "! settings    for the service: 18 plain settings, 18 secret; it requires REQUIRED, too:";
    assert!(doctor.stdout.contains(line), "{}", doctor.stdout);

    // The file comes before the environment, which is used for what the file does not set.
    let file = site.project.read(".env.production");
    let kept: Vec<&str> = file.lines().filter(|line| !line.starts_with("SECRET_1=")).collect();
    site.project.write(".env.production", &kept.join("\n"));
    let mut command = site.command(&["plan", "production"]);
    let ran = Ran::of(command.env("SECRET_1", "sentinel-of-the-environment").env("SECRET_2", "x")).expect(10);
    assert!(ran.stdout.contains("~ update   terraform_data.container"), "{}", ran.stdout);
    ran.says(&["secrets from the environment, not from .env.production: SECRET_1\n"]);
}

#[test]
fn a_value_that_would_change_is_refused_before_the_plan() {
    let (long, fits) = ("sentinel ".repeat(7300), "x".repeat(1000));
    // An RSA key of 4096 bits in PEM has 3272 bytes.
    let rsa = "sentinel".repeat(409);
    let plain = [("PORT", "80"), ("FITS", fits.as_str())];
    let secret =
        [("LONG", long.as_str()), ("RSA", rsa.as_str()), ("COMPOSED", "sentinel e\u{301}"), ("SCW_TOKEN", "sentinel")];
    let Some(site) = open("a_value_that_would_change_is_refused_before_the_plan", &plain, &secret) else { return };
    let ran = site.run(&["plan", "production"]).expect(21);
    assert!(!(ran.stdout.clone() + &ran.stderr).contains("sentinel"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("FITS") && !ran.stderr.contains("RSA"), "{}", ran.stderr);
    ran.says(&[
        "PORT is reserved",
        "SCW_TOKEN is reserved",
        "the value of LONG has 65700 bytes",
        "accepts 65536",
        "COMPOSED",
    ]);
    assert!(!site.folder().join("plan.tfplan").exists());
    let doctor = Ran::of(&mut site.toolkit(&["doctor", "production"])).expect(1);
    assert!(doctor.stdout.contains("✗ settings") && doctor.stdout.contains("LONG has 65700"), "{}", doctor.stdout);

    // An unknown setting, and a secret in deploy.yaml.
    site.project.edit("deploy.yaml", "settings: { PORT: \"80\"", "settings: { LONG: a, PROT: \"80\"");
    site.run(&["plan", "production"]).expect(2).says(&["no such setting", "`PORT`", "a secret must not be in"]);
}

#[test]
fn a_stack_that_does_not_declare_them_is_refused() {
    let Some(site) = open("a_stack_that_does_not_declare_them_is_refused", &[("NAME", "a")], &[("KEY", "b")]) else {
        return;
    };
    site.project.edit("infra/main.tf", "variable \"secrets\" {", "variable \"hidden\" {\n  default   = {}");
    site.project.edit("infra/main.tf", "var.secrets", "var.hidden");
    site.project.commit("A slip of the pen");
    let ran = site.run(&["plan", "production"]).expect(2);
    ran.says(&["the variables secrets, which", "it declares: hidden, image, release, settings"]);
}

#[test]
fn the_image_is_that_of_the_commit_by_its_digest() {
    let Some(site) = open("the_image_is_that_of_the_commit_by_its_digest", &[("NAME", "a")], &[]) else { return };
    let digest = format!("sha256:{}", "5".repeat(64));
    let (there, answered) = (Arc::new(AtomicBool::new(false)), digest.clone());
    let pushed = Arc::clone(&there);
    let registry = HttpServer::start(move |request| match pushed.load(Ordering::SeqCst) && request.method == "HEAD" {
        true => Response::new(200)
            .header("docker-content-digest", &answered)
            .body("application/vnd.oci.image.manifest.v1+json", "{}"),
        false if request.path.contains("/tags/list") => {
            Response::new(200).body("application/json", r#"{"tags":["a"]}"#)
        }
        false => Response::new(404),
    });
    site.project.edit("deploy.yaml", "registry.example.com/shop", &format!("{}/shop", registry.address));
    site.project.edit("deploy.yaml", "\nenvironments:", "\nimage: {}\n\nenvironments:");
    site.project.write("Dockerfile", "FROM scratch\n");
    let head = site.project.commit("As an image");
    let file = site.project.read(".env.production").replace("TF_VAR_image=shop@sha256:0\n", "");
    site.project.write(".env.production", &file);
    site.run(&["plan", "production"]).expect(21).says(&[
        &format!("has no image of {head}, {}/shop/fixture:inputs-", registry.address),
        "push it: cargo xtask image push production",
    ]);

    there.store(true, Ordering::SeqCst);
    // The registry has one, and no signature of it.
    site.run(&["plan", "production"]).expect(21).says(&[
        "no machine with this TF_STATE_PASSPHRASE has signed it",
        &format!("cargo xtask tofu plan production --image {digest}"),
    ]);
    site.run(&["plan", "production", "--image", "latest"]).expect(2).says(&["--image takes a digest"]);
    let plan = site.result(&["plan", "production", "--image", &digest], 10);
    let approval = plan["approval"].as_str().unwrap();
    // An apply takes it from the plan.
    there.store(false, Ordering::SeqCst);
    site.run(&["apply", "production", "--approve", approval]).expect(0);
    let given = given(&site);
    assert_eq!(given["image"], format!("{}/shop/fixture@{digest}", registry.address));
    assert_eq!((&given["release"], &given["secrets"]), (&json!(head), &json!({})));
}
