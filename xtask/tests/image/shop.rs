//! A project with an image, its registry, and its base image.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use devservers::registry::{DockerRegistry, Login, PASSWORD, USER};
use testkit::Ended;
use testkit::{Project, Ran, machine, skipped};

/// A base image of two megabytes: busybox.
pub const BASE: &str = "xtask-test-base:1";

/// A command of Docker's client on the tests' engine.
pub fn docker(args: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(args).stdin(Stdio::null());
    docker
}

/// The output of such a command, which must succeed.
#[track_caller]
pub fn docker_says(args: &[&str]) -> String {
    Ran::of(&mut docker(args)).expect(0).stdout.trim().to_owned()
}

/// The Dockerfile of most tests: dependencies, the service, the runtime.
const DOCKERFILE: &str = r#"ARG RUNTIME_IMAGE=none
FROM ${RUNTIME_IMAGE} AS dependencies
COPY Cargo.lock /
RUN echo "compiling the dependencies" && wc -l < Cargo.lock > /dependencies
FROM dependencies AS build
COPY src /src
RUN echo "compiling the service" && cat /src/main.rs > /service
FROM ${RUNTIME_IMAGE}
COPY --from=build /service /service
ARG SERVICE_VERSION=unknown
ENV SERVICE_VERSION=${SERVICE_VERSION}
"#;

/// A project whose environment `production` has a registry of its own.
pub struct Shop {
    pub project: Project,
    pub registry: DockerRegistry,
}

impl Shop {
    /// A project that is committed, with its base image pushed and pinned. `None` if this machine cannot run the test.
    pub fn open(test: &str) -> Option<Self> {
        let shop = Self::unpinned(test)?;
        shop.run(&["image", "pin", "production"]).expect(0);
        shop.project.commit("Pin the base image");
        Some(shop)
    }

    /// Like [`Shop::open`], without `image.lock`.
    pub fn unpinned(test: &str) -> Option<Self> {
        if !engine_answers(test) {
            return None;
        }
        let registry = testkit::or_skip(test, DockerRegistry::start(Login::Password))?;
        let project = Project::fixture();
        let base = format!("{}/base/tiny:1", registry.address);
        let deploy = project.read("deploy.yaml");
        let deploy = format!(
            "{deploy}  production:\n    target: scaleway\n    registry: {}/shop\nimage: {{ name: fixture/app, bases: {{ RUNTIME_IMAGE: '{base}' }} }}\n",
            registry.address
        );
        project.write("deploy.yaml", &deploy);
        project.write("Dockerfile", DOCKERFILE);
        project.write(".dockerignore", "*\n!Cargo.lock\n!src\n");
        project.write("README.md", "# A fixture\n");
        project.commit("An image");
        let shop = Self { project, registry };
        push(&shop.registry, base_image(), &base);
        Some(shop)
    }

    /// The repository's name in the registry.
    pub fn repository(&self) -> String {
        "shop/fixture/app".to_owned()
    }

    /// A toolkit command with the registry's credentials.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env("REGISTRY_HOST", self.host());
        command.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", PASSWORD);
        command.env_remove("SSL_CERT_FILE").env_remove("BUILDKIT_HOST").env_remove("DOCKER_HOST");
        command.env("DOCKER_CONFIG", self.project.root.join("no-docker-config"));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Runs it with `--json` and returns its events.
    pub fn events(&self, args: &[&str]) -> Ended {
        testkit::Running::start(self.command(args).arg("--json")).end()
    }

    /// The result of a command that must succeed.
    #[track_caller]
    pub fn result(&self, args: &[&str]) -> Value {
        let ended = self.events(args).expect(0);
        let mut results = ended.events.into_iter().filter(|event| event["state"] == "result");
        results.next().unwrap()["detail"].take()
    }

    /// The digest of a tag in the registry.
    pub fn digest(&self, tag: &str) -> Option<String> {
        let (status, headers) = self.registry.head(&self.repository(), tag);
        let digest = headers.lines().find_map(|line| line.strip_prefix("Docker-Content-Digest: "));
        (status == 200).then(|| digest.unwrap().to_owned())
    }

    /// Removes the images of this shop from the engine. Tests that run beside it keep theirs.
    pub fn remove_images(&self) {
        let of = |host: &str| format!("reference={host}/{}", self.repository());
        let mut list = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        list.args(["--filter", &of(&self.registry.address), "--filter", &of(&self.host())]);
        let found = Ran::of(&mut list).stdout;
        let names: Vec<&str> = found.lines().collect();
        if !names.is_empty() {
            drop(docker(&[&["rmi", "--force"], &names[..]].concat()).output());
        }
    }

    /// The full hash of HEAD.
    pub fn commit(&self) -> String {
        self.project.git(&["rev-parse", "HEAD"])
    }

    /// The registry that the environment has: some tests give it another.
    fn host(&self) -> String {
        let deploy = self.project.read("deploy.yaml");
        let host = deploy.split_once("registry: ").and_then(|(_, rest)| rest.split('/').next());
        host.unwrap_or_default().to_owned()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.remove_images();
    }
}

/// Whether a Docker engine answers. If not, the test is reported as skipped.
pub fn engine_answers(test: &str) -> bool {
    let answers = docker(&["version"]).output().is_ok_and(|output| output.status.success());
    if !answers {
        skipped(test, "no Docker engine answers; install one: cargo xtask setup --docker");
    }
    answers
}

/// Pushes an image of the engine to the registry under this name.
pub fn push(registry: &DockerRegistry, image: &str, name: &str) {
    docker_says(&["tag", image, name]);
    let config = registry.docker_config();
    Ran::of(docker(&["push", "--quiet", name]).env("DOCKER_CONFIG", config.path())).expect(0);
    docker_says(&["rmi", name]);
}

/// Builds the base image in the engine once, without a registry.
pub fn base_image() -> &'static str {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| import_base(&[], BASE));
    BASE
}

/// Puts the base image into an engine. `engine` are the arguments that select it.
pub fn import_base(engine: &[&str], name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs_err::create_dir_all(&bin).unwrap();
    fs_err::copy("/bin/busybox", bin.join("busybox")).expect("Debian's package busybox-static is installed");
    for name in ["sh", "cat", "dd", "echo", "env", "ls", "sha256sum", "sleep", "wc"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    let tar = folder.path().join("base.tar");
    let root = folder.path().to_str().unwrap();
    Ran::of(Command::new("tar").args(["-C", root, "-cf", tar.to_str().unwrap(), "bin"])).expect(0);
    docker_says(&[engine, &["import", tar.to_str().unwrap(), name]].concat());
}

/// Whether a running process has this text in its command line.
pub fn runs(text: &str) -> bool {
    machine::all_command_lines().lines().any(|line| line.contains(text))
}
