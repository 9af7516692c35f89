//! The commands `image list`, `inspect`, `prune` and `pin`, which do not use the engine.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use devservers::registry::Tokens;
use devservers::registry::{DockerRegistry, Image, Login, PASSWORD, USER};
use testkit::{Project, Ran, machine};

const NAME: &str = "shop/fixture/app";

/// A project with images in a registry that it did not build.
struct Shelf {
    project: Project,
    registry: DockerRegistry,
}

impl Shelf {
    fn new(test: &str, login: Login) -> Option<Self> {
        let registry = testkit::or_skip(test, DockerRegistry::start(login))?;
        let project = Project::fixture();
        let deploy = project.read("deploy.yaml");
        let address = &registry.address;
        let deploy = format!(
            "{deploy}  production:\n    target: scaleway\n    registry: {address}/shop\n\
             image: {{ name: fixture/app, bases: {{ RUNTIME_IMAGE: '{address}/base:1' }} }}\n"
        );
        project.write("deploy.yaml", &deploy);
        Some(Self { project, registry })
    }

    /// Puts images into the repository, each with its tags and the day in January on which it was created.
    fn fill(&self, images: &[(&[&str], &str)]) -> Vec<String> {
        let push = |(tags, day): &(&[&str], &str)| {
            let created = format!("2026-01-{day}T00:00:00Z");
            self.registry.push(NAME, &Image { tags, created: &created, version: day, layer: 2_000_000 })
        };
        images.iter().map(push).collect()
    }

    /// A toolkit command without credentials for the registry.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env_remove("REGISTRY_USERNAME").env_remove("REGISTRY_PASSWORD");
        command.env("DOCKER_CONFIG", self.project.root.join("no-docker-config"));
        command
    }

    /// Runs a toolkit command with the registry's credentials.
    fn run(&self, args: &[&str]) -> Ran {
        let host = ("REGISTRY_HOST", self.registry.address.as_str());
        Ran::of(self.command(args).envs([host, ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", PASSWORD)]))
    }

    /// The results of a command with `--json`.
    fn results(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let ran = self.run(&args).expect(0);
        let events = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["state"] == "result").map(|mut event| event["detail"].take()).collect()
    }

    fn has(&self, tag: &str) -> bool {
        self.registry.head(NAME, tag).0 == 200
    }
}

#[test]
fn images_are_listed_shown_and_pruned() {
    let Some(shelf) = Shelf::new("images_are_listed_shown_and_pruned", Login::Password) else { return };
    shelf.run(&["image", "list", "production"]).expect(0).says(&["cargo xtask image push production"]);
    let head = shelf.project.git(&["rev-parse", "HEAD"]);
    let digests = shelf.fill(&[(&["old"], "01"), (&["middle"], "02"), (&["latest", &head], "03")]);

    let listed = shelf.run(&["image", "list", "production"]).expect(0).stdout;
    let order: Vec<_> = ["03", "02", "01"].map(|day| listed.find(&format!("2026-01-{day}")).unwrap()).into();
    assert!(order.is_sorted(), "{listed}");
    assert!(listed.contains("1.9 MiB") && listed.contains(&digests[0][..19]), "{listed}");
    let listed = shelf.results(&["image", "list", "production"]);
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[2]["digest"], digests[0].as_str());
    assert_eq!((&listed[2]["tags"], &listed[2]["version"]), (&json!(["old"]), &json!("01")));

    let shown = shelf.run(&["image", "inspect", "production"]).expect(0).stdout;
    for said in [
        &digests[2],
        "linux/amd64",
        "10001",
        "/usr/bin/app serve",
        "PORT=8080",
        "COPY app /usr/bin/app",
        "/usr/bin/app healthy",
    ] {
        assert!(shown.contains(said), "{said} is not in: {shown}");
    }
    let shown = shelf.results(&["image", "inspect", "production", "old"]).remove(0);
    assert_eq!((&shown["digest"], &shown["layers"][0]["bytes"]), (&json!(digests[0]), &json!(2_000_000)));
    shelf.run(&["image", "inspect", "production", "gone"]).expect(1).says(&["cargo xtask image list production"]);
    shelf.run(&["image", "inspect", "production", "rust:1"]).expect(2).says(&["rust:1"]);

    let prune = ["image", "prune", "production", "--keep", "1"];
    let dry =
        shelf.run(&[&prune[..], &["--dry-run"]].concat()).expect(0).says(&["no live release of production"]).stdout;
    assert!(dry.contains("2 to keep, 1 to delete"), "{dry}");
    // Without a deploy record nothing is deleted, even with `--yes`.
    let unknown = shelf.run(&[&prune[..], &["--yes"]].concat()).expect(21);
    unknown.says(&["no live release of production", "--never-deployed production", "nothing was deleted"]);
    shelf.run(&[&prune[..], &["--never-deployed", "nowhere"]].concat()).expect(2).says(&["nowhere"]);
    let prune = [&prune[..], &["--never-deployed", "production"]].concat();
    // What it says to type deletes what it has shown, with the same options.
    let asks = shelf.run(&prune).expect(21).says(&["nothing was deleted"]);
    assert!(shelf.has("old"));
    let mut like = shelf.command(&[]);
    like.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", PASSWORD);
    like.env("REGISTRY_HOST", &shelf.registry.address);
    let real = asks.type_it("type: ", &like).expect(0);
    answers(&real, &["deleted 1", "1.9 MiB"]);
    assert!(real.stderr.contains(dry.trim()), "the dry run showed something else: {dry}\n{}", real.stderr);
    assert!(!shelf.has("old") && shelf.has("middle") && shelf.has("latest") && shelf.has(&head));
    let detail = shelf.results(&[&prune[..], &["--dry-run"]].concat()).remove(0);
    assert_eq!((&detail["delete"], &detail["deleted"]), (&json!([]), &json!([])));
}

#[test]
fn base_images_are_pinned_and_a_newer_one_is_noticed() {
    let Some(shelf) = Shelf::new("base_images_are_pinned_and_a_newer_one_is_noticed", Login::Open) else { return };
    let base = |created: &str| shelf.registry.push("base", &Image { tags: &["1"], created, version: "1", layer: 10 });
    let pin = ["image", "pin", "production"];
    let check = ["image", "pin", "production", "--check"];
    shelf.run(&pin).expect(1).says(&["base:1", "image.lock was not changed"]);
    let digest = base("2026-01-01T00:00:00Z");
    shelf.run(&check).expect(10).says(&["cargo xtask image pin"]);
    answers(&shelf.run(&pin).expect(0), &["commit it"]);
    let written = shelf.project.read("image.lock");
    assert!(written.contains(&format!("{}/base:1: {digest}\n", shelf.registry.address)), "{written}");
    shelf.run(&check).expect(0);
    base("2026-01-02T00:00:00Z");
    answers(&shelf.run(&check).expect(10), &["newer"]);
    assert_eq!(shelf.project.read("image.lock"), written);
}

#[test]
fn credentials_come_from_dockers_helper_and_a_wrong_password_is_named_by_its_source() {
    let Some(shelf) = Shelf::new("credentials_come_from_dockers_helper", Login::Password) else { return };
    shelf.fill(&[(&["one"], "01")]);
    let list = ["image", "list", "production"];
    Ran::of(&mut shelf.command(&list)).expect(1).says(&["no credentials", "docker login", &shelf.registry.address]);
    let mut wrong = shelf.command(&list);
    wrong.env("REGISTRY_HOST", &shelf.registry.address);
    wrong.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", "sentinel-wrong");
    let wrong = Ran::of(&mut wrong).expect(1).says(&["REGISTRY_USERNAME and REGISTRY_PASSWORD"]);
    assert!(!wrong.stderr.contains("sentinel-wrong") && !wrong.stdout.contains("sentinel-wrong"));

    let docker = tempfile::tempdir().unwrap();
    let config = json!({"credHelpers": {shelf.registry.address.as_str(): "shelf"}});
    fs_err::write(docker.path().join("config.json"), config.to_string()).unwrap();
    let helper = docker.path().join("docker-credential-shelf");
    let path = format!("{}:{}", docker.path().display(), std::env::var("PATH").unwrap());
    let run = |script: &str| {
        write_program(&helper, script);
        Ran::of(shelf.command(&list).env("DOCKER_CONFIG", docker.path()).env("PATH", &path))
    };
    let answer = format!(r#"{{\"ServerURL\":\"$host\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}"#);
    answers(&run(&format!("read -r host; echo \"{answer}\"")).expect(0), &["2026-01-01"]);
    run("echo the key ring is locked; exit 1").expect(1).says(&["docker-credential-shelf", "the key ring is locked"]);
    run("echo '{\"ServerURL\":\"x\",\"Username\":\"x\",\"Secret\":\"sentinel\"}'")
        .expect(1)
        .says(&["docker-credential-shelf"]);
}

#[test]
fn the_password_of_the_environment_is_sent_where_the_environment_says() {
    let test = "the_password_of_the_environment_is_sent_where_the_environment_says";
    let Some(shelf) = Shelf::new(test, Login::Password) else { return };
    shelf.fill(&[(&["one"], "01")]);
    let address = &shelf.registry.address;
    let list = |host: Option<&str>| {
        let mut command = shelf.command(&["image", "list", "production"]);
        command.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", PASSWORD);
        Ran::of(command.envs(host.map(|host| ("REGISTRY_HOST", host))))
    };
    let export = format!("type: export REGISTRY_HOST={address}");
    list(None).expect(1).says(&["does not say which registry it is for", &export]);
    // The checked-out tree does not say it.
    shelf.project.write(".env.production", &format!("REGISTRY_HOST={address}\n"));
    let file = shelf.project.root.join(".env.production");
    fs_err::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    list(None).expect(1).says(&["does not say which registry it is for", &export]);
    list(Some("rg.example.org")).expect(1).says(&["is for rg.example.org", "was not sent"]);
    assert_eq!(shelf.registry.requests().iter().filter(|request| request.contains("tags/list")).count(), 0);
    answers(&list(Some(address)).expect(0), &["one"]);
}

#[test]
fn an_expired_token_is_replaced() {
    // More than the minute of clock skew that registries accept.
    let tokens = Tokens::start(vec![(-300, 3600), (600, 3600)]);
    let Some(shelf) = Shelf::new("an_expired_token_is_replaced", Login::Token(tokens)) else {
        return;
    };
    shelf.fill(&[(&["one"], "01"), (&["two"], "02")]);
    answers(&shelf.run(&["image", "list", "production"]).expect(0), &["one", "two"]);
    let prune = ["image", "prune", "production", "--keep", "1", "--never-deployed", "production", "--yes"];
    answers(&shelf.run(&prune).expect(0), &["deleted 1"]);
    assert!(!shelf.has("one") && shelf.has("two"));
    let said = machine::all_command_lines();
    assert!(!said.contains(PASSWORD), "the password is in a command line");
}

/// Checks standard output, as `says` checks standard error.
#[track_caller]
fn answers(ran: &Ran, texts: &[&str]) {
    for text in texts {
        assert!(ran.stdout.contains(text), "{text:?} is not in the answer:\n{}", ran.stdout);
    }
}

/// Another process writes the file. If this process did, a child that another test forks could inherit the open file,
/// and starting the program would fail with ETXTBSY.
fn write_program(path: &Path, script: &str) {
    let source = path.with_extension("script");
    fs_err::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    let installed = Command::new("install").args(["-m", "755"]).args([&source, path]).status();
    assert!(installed.unwrap().success());
}
