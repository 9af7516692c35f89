//! The key that signs URLs: made once, rotated with two, its private half in `.env.production` alone.

use std::os::unix::fs::PermissionsExt as _;

use testkit::{Project, Ran};

const RUNS_SERVICE: &str = "  production:
    target: scaleway
    registry: registry.example.com/shop
    settings: {}
    stack: infra/main
    state: { bucket: states, region: fr-par, provider: scaleway }
  media:
    target: scaleway
    registry: registry.example.com/shop
    stack: infra/media
    state: { bucket: states, region: fr-par, provider: scaleway }
    variables: { size: 3 }
";

fn project() -> Project {
    Project::of("fixture", |project| {
        let deploy = project.read("deploy.yaml");
        project.write("deploy.yaml", &format!("{deploy}{RUNS_SERVICE}"));
        project.write("infra/main/main.tf", "variable \"settings\" {\n  type = map(string)\n}\n");
        project.write("infra/media/main.tf", "variable \"signing_public_keys\" {\n  type = map(string)\n}\n");
        let settings = project.read("settings.json");
        let (before, certificate) = settings.split_once("\"CERTIFICATE\"").unwrap();
        let certificate = certificate.replacen("\"kind\": \"text\"", "\"kind\": \"rsa-key\"", 1);
        project.write("settings.json", &format!("{before}\"CERTIFICATE\"{certificate}"));
    })
}

/// The values of `.env.production` with these names, as they are written.
fn written(project: &Project) -> [Option<String>; 2] {
    let text = fs_err::read_to_string(project.root.join(".env.production")).unwrap_or_default();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    [value("CERTIFICATE="), value("CERTIFICATE_NEXT=")]
}

fn run(project: &Project, args: &[&str]) -> Ran {
    let ran = project.run(&[&["bootstrap", "signing-key", "production"], args].concat());
    for key in written(project).into_iter().flatten() {
        let part = &key[100..140];
        assert!(!ran.stdout.contains(part) && !ran.stderr.contains(part), "a private key is shown: {ran:?}");
    }
    ran
}

/// The line of the output that begins so.
fn public(ran: &Ran, begin: &str) -> String {
    let mut lines = ran.stdout.lines().map(|line| line.trim_start_matches([' ', '→']));
    lines.find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin}: {ran:?}")).to_owned()
}

#[test]
fn a_key_is_made_once_and_rotated_with_two() {
    let project = project();
    assert!(run(&project, &["--check"]).expect(10).stdout.contains("✗ CERTIFICATE "));
    assert_eq!(written(&project), [None, None]);
    let made = run(&project, &["--yes"]).expect(10);
    let [signs, None] = written(&project) else { panic!("one key") };
    let file = project.root.join(".env.production");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let signs = signs.expect("it is there");
    assert!(signs.starts_with("\"-----BEGIN PRIVATE KEY-----\\n"));

    // Its public half is shown for the stack that takes it. A second run makes no other.
    let variable = public(&made, "signing_public_keys: '{ key-");
    project.edit("deploy.yaml", "variables: { size: 3 }", &format!("variables:\n      {variable}"));
    assert!(run(&project, &["--yes"]).expect(0).stdout.contains("the key that signs"));
    assert_eq!(written(&project), [Some(signs.clone()), None]);

    // What else is in the file stays.
    fs_err::write(&file, format!("# mine\nA=b\n{}", fs_err::read_to_string(&file).unwrap())).unwrap();
    let second = run(&project, &["--rotate", "--yes"]).expect(10);
    let [Some(first), Some(next)] = written(&project) else { panic!("two keys") };
    assert!(first == signs && next != signs);
    run(&project, &["--rotate", "--yes"]).expect(10);
    assert_eq!(written(&project), [Some(signs.clone()), Some(next.clone())]);
    run(&project, &["--finish", "--yes"]).expect(21).says(&["CERTIFICATE_NEXT", "apply the stack first"]);
    let entry = public(&second, "key-");
    project.edit("deploy.yaml", "signing_public_keys: '{ ", &format!("signing_public_keys: '{{ {entry}, "));
    run(&project, &["--check"]).expect(0);

    let finished = run(&project, &["--finish", "--yes"]).expect(0);
    assert!(finished.stdout.contains("others: 1; remove each"), "{finished:?}");
    assert_eq!(written(&project), [Some(next), None]);
    assert!(fs_err::read_to_string(&file).unwrap().starts_with("# mine\nA=b\nCERTIFICATE="));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_that_is_none_is_refused_and_kept() {
    let project = project();
    crate::site::write_env_file(&project.root, "CERTIFICATE='sentinel that is no key'\n");
    for args in [&["--yes"][..], &["--rotate", "--yes"]] {
        let refused = project.run(&[&["bootstrap", "signing-key", "production"], args].concat()).expect(21);
        assert!(!refused.stderr.contains("sentinel") && !refused.stdout.contains("sentinel"), "{refused:?}");
        refused.says(&["CERTIFICATE: no RSA private key in PEM", "xtask does not touch it"]);
    }
    assert_eq!(project.read(".env.production"), "CERTIFICATE='sentinel that is no key'\n");
    project.run(&["bootstrap", "signing-key", "media"]).expect(2).says(&["media has no settings"]);
}
