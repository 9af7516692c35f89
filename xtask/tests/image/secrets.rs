//! The secrets of a build reach only the step that mounts them.

use crate::shop::{Shop, docker, docker_says, runs};
use testkit::{Ran, Running, machine, until};

const SENTINEL: &str = "sentinel-2f7c9b41-build-secret";

#[test]
fn a_build_secret_is_in_no_layer_history_log_or_argument() {
    let Some(shop) = Shop::open("a_build_secret_is_in_no_layer_history_log_or_argument") else { return };
    let nap = 200_000 + std::process::id();
    let step = format!(
        "RUN --mount=type=secret,id=NPM_TOKEN sha256sum < /run/secrets/NPM_TOKEN > /proof && cat /run/secrets/NPM_TOKEN && sleep {nap}"
    );
    shop.project.edit("Dockerfile", "ARG SERVICE_VERSION", &format!("{step}\nARG SERVICE_VERSION"));
    shop.project.edit("deploy.yaml", "image: {", "image: { secrets: [NPM_TOKEN],");
    shop.project.commit("A secret");
    shop.run(&["image", "build", "production"]).expect(1).says(&["NPM_TOKEN", ".env.production"]);

    // While the step runs, every user of this machine can read its command line.
    shop.project.write(".env.production", &format!("NPM_TOKEN={SENTINEL}\n"));
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs_err::set_permissions(shop.project.root.join(".env.production"), private).unwrap();
    fs_err::write(shop.project.root.join(".git/info/exclude"), ".env.*\n").unwrap();
    let building = Running::start(shop.command(&["image", "build", "production"]).arg("--json"));
    until("the step runs", || runs(&format!("sleep {nap}")));
    assert!(!machine::all_command_lines().contains(SENTINEL));
    building.signal(rustix::process::Signal::INT);
    let interrupted = building.end().expect(1);
    assert!(!format!("{:?}{}", interrupted.events, interrupted.stderr).contains(SENTINEL));

    shop.project.edit("Dockerfile", &format!(" && sleep {nap}"), "");
    shop.project.commit("Faster");
    let built = Ran::of(shop.command(&["image", "build", "production"]).env("GITHUB_ACTIONS", "true")).expect(0);
    assert!(built.stderr.contains("[redacted]"), "the step said its secret: {}", built.stderr);
    assert!(!built.stderr.contains(SENTINEL), "{}", built.stderr);

    let name = built.stdout.trim();
    let proof = docker_says(&["run", "--rm", "--network", "none", name, "cat", "/proof"]);
    assert!(proof.starts_with(&sha256(SENTINEL)), "the step did not get it: {proof}");
    let about = docker_says(&["history", "--no-trunc", name]) + &docker_says(&["inspect", name]);
    assert!(!about.contains(SENTINEL));
    let saved = docker(&["save", name]).output().unwrap();
    assert!(saved.status.success() && saved.stdout.len() > 1_000_000);
    assert!(!saved.stdout.windows(SENTINEL.len()).any(|bytes| bytes == SENTINEL.as_bytes()), "it is in a layer");
    assert!(!shop.project.read("deploy.yaml").contains(SENTINEL));
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text))
}
