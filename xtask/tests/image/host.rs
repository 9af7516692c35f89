//! Deploys to a Docker host: real containers of this machine's engine, behind a real Caddy.

mod faults;
mod guide;
mod media;
mod setup;
mod several;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use devservers::registry::{DockerRegistry, Login};
use devservers::{OwnEngine, Sshd};
use testkit::load::Load;
use testkit::{Project, Ran, Running, or_skip, until};
use xtask::clients::docker::Engine;

use crate::shop::{base_image, docker, docker_says, engine_answers};

const SECRET: &str = "a-secret-of-the-docker-host";

/// The program and the libraries that it loads.
pub const DOCKERFILE: &str = "FROM scratch\nCOPY root /\nUSER 10001:10001\nENTRYPOINT [\"/fixture\"]\nCMD [\"serve\"]\nARG SERVICE_VERSION=none\n";

/// The fixture, whose environment `prod` is on the engine of this machine.
pub struct Site {
    pub project: Project,
    /// What the names of its containers begin with.
    pub prefix: String,
    /// The id of the proxy's image.
    proxy: String,
    /// Programs that the toolkit finds before those of the machine.
    bin: Option<PathBuf>,
}

impl Site {
    /// With these lines in the environment too. `None` if this machine cannot run the test.
    pub fn open(test: &str, lines: &str) -> Option<Self> {
        if !engine_answers(test) {
            return None;
        }
        or_skip(test, devservers::caddy::program())?;
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("site-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let proxy = devservers::caddy::image().unwrap();
        let project = Project::of("fixture", |project| {
            let port = project.port;
            let prod = format!(
                "  prod:\n    target: compose\n    port: {port}\n    proxy: {proxy}\n    service: {{ health: [/fixture, health], memory: 64M }}\n    \
                 gate: {{ timeout: 5 }}\n    settings: {{ GREETING: moi }}\n{lines}image: {{}}\n"
            );
            project.edit("deploy.yaml", "project: fixture", &format!("project: {name}"));
            project.write("deploy.yaml", &(project.read("deploy.yaml") + &prod));
            project.write("Dockerfile", DOCKERFILE);
            project.write(".dockerignore", "*\n!root\n");
            project.write(".gitignore", "/.deploy\n/target\n.env.*\n");
            project.write(".env.prod", &format!("SIGNING_KEY={SECRET}\nAPI_TOKEN={SECRET}\n"));
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs_err::set_permissions(project.root.join(".env.prod"), private).unwrap();
        });
        let site = Self { project, prefix: format!("{name}-prod"), proxy, bin: None };
        site.commit("ready");
        Some(site)
    }

    /// A commit of a service that behaves like this: its version.
    pub fn commit(&self, behaviour: &str) -> String {
        commit(&self.project, &self.prefix, behaviour)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env_remove("BUILDKIT_HOST").env_remove("DOCKER_HOST");
        if let Some(bin) = &self.bin {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
            command.env("PATH", std::env::join_paths(path).unwrap());
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(args));
        // Shown where the test fails.
        println!("{args:?}\n{}", ran.stderr);
        assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "{args:?} tells a secret: {ran:?}");
        ran
    }

    /// The containers of the environment: name and state.
    pub fn containers(&self) -> Vec<String> {
        let all = docker_says(&[
            "ps",
            "--all",
            "--format",
            "{{.Names}} {{.State}}",
            "--filter",
            &format!("name={}", self.prefix),
        ]);
        all.lines().map(str::to_owned).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let project = self.prefix.trim_end_matches("prod");
        let name = format!("name={project}");
        let remove = |list: &[&str], remove: &[&str]| {
            let found = Ran::of(&mut docker(&[list, &["--quiet", "--filter", &name]].concat())).stdout;
            for id in found.split_whitespace() {
                drop(docker(&[remove, &[id]].concat()).output());
            }
        };
        remove(&["ps", "--all"], &["rm", "--force", "--volumes"]);
        remove(&["volume", "ls"], &["volume", "rm"]);
        remove(&["network", "ls"], &["network", "rm"]);
        let project = project.trim_end_matches('-');
        let images = Ran::of(&mut docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", project])).stdout;
        for image in images.split_whitespace().chain([self.proxy.as_str()]) {
            drop(docker(&["rmi", "--force", image]).output());
        }
    }
}

#[test]
fn a_release_takes_over_without_a_failed_request_and_a_broken_one_never_does() {
    let test = "a_release_takes_over_without_a_failed_request_and_a_broken_one_never_does";
    let Some(site) = Site::open(test, "    worker: { args: [serve], health: [/fixture, health], memory: 64M }\n")
    else {
        return;
    };
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0).says(&[&format!("http://localhost:{}", project.port)]);
    assert_eq!(project.serves().as_ref(), Some(&first));
    assert_eq!(project.get("/greeting").as_deref(), Some("moi"));
    site.run(&["deploy", "prod"]).expect(0).says(&["unchanged"]);

    let second = project.commit("Another");
    let load = Load::start(project.port, 2);
    site.run(&["deploy", "prod"]).expect(0).says(&[&format!("{first} → {second}")]);
    let (answered, failed) = (load.answered(), load.end());
    assert_eq!(project.serves().as_ref(), Some(&second));
    assert!(answered > 20, "{answered}");
    assert_eq!(failed, Vec::<String>::new());
    let roles = ["proxy", "service", "worker"];
    let running = site.containers();
    assert!(running.len() == 3 && running.iter().all(|line| line.ends_with(" running")), "{running:?}");
    assert!(roles.iter().all(|role| running.iter().any(|line| line.contains(role))), "{running:?}");

    // Only the variables of the containers have the secret.
    for container in running.iter().filter_map(|line| line.split(' ').next()) {
        let inspected = docker_says(&[
            "inspect",
            "--format",
            "{{json .Config.Labels}} {{json .Args}} {{json .HostConfig}}",
            container,
        ]);
        assert!(!inspected.contains(SECRET) && inspected.contains("no-new-privileges"), "{inspected}");
        assert!(inspected.contains("\"ReadonlyRootfs\":true"), "{inspected}");
        let log = Ran::of(&mut docker(&["logs", container]));
        assert!(!log.stdout.contains(SECRET) && !log.stderr.contains(SECRET));
    }
    let mut records = Command::new("grep");
    records.args(["--recursive", "--fixed-strings", SECRET]).arg(project.root.join(".deploy"));
    Ran::of(&mut records).expect(1);

    let broken = site.commit("unready");
    let ran =
        site.run(&["deploy", "prod"]).expect(30).says(&["the moon is down", &format!("{second} serves as before")]);
    assert_eq!(project.serves().as_ref(), Some(&second));
    let kept = site.containers().into_iter().find(|line| line.ends_with(" exited")).expect("it is kept");
    let name = kept.split(' ').next().unwrap();
    assert!(ran.stderr.contains(name), "{name} is not named: {}", ran.stderr);
    assert!(docker_says(&["logs", name]).contains(&format!("{broken} begins")));

    site.run(&["status", "prod"]).expect(0).says(&[]);
    let status = site.run(&["status", "prod", "--json"]).expect(0).stdout;
    assert!(status.contains(&format!("\"version\":\"{second}\"")) && status.contains("\"ready\":true"), "{status}");
    assert!(site.run(&["logs", "prod"]).expect(0).stdout.contains(&format!("{second} begins")));
    let told = site.run(&["run", "prod", "--", "tell", "a b"]).expect(7).stdout;
    assert!(told.contains(&format!("[\"tell\", \"a b\"] {second} moi")), "{told}");
    assert!(told.contains(&format!("a token of {} bytes", SECRET.len())), "{told}");

    site.run(&["rollback", "prod"]).expect(0).says(&[&first]);
    assert_eq!(project.serves().as_ref(), Some(&first));
    let history = site.run(&["history", "prod"]).expect(0).stdout;
    assert!(history.contains(&broken), "{history}");
    site.run(&["doctor", "prod"]).expect(0);

    site.run(&["stop", "prod"]).expect(0);
    assert!(!site.containers().iter().any(|line| line.ends_with(" running")), "{:?}", site.containers());
    site.run(&["status", "prod"]).expect(31);
    site.run(&["rollback", "prod", "--to", &first]).expect(0);
    assert_eq!(project.serves().as_ref(), Some(&first));
}

#[test]
fn a_deploy_that_was_killed_is_resumed_while_the_previous_release_serves() {
    let test = "a_deploy_that_was_killed_is_resumed_while_the_previous_release_serves";
    let Some(site) = Site::open(test, "") else { return };
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    project.edit("deploy.yaml", "timeout: 5", "timeout: 60");
    let second = site.commit("waits");
    let mut deploy = Running::start(site.command(&["deploy", "prod"]).arg("--json"));
    deploy.must("gate", "started");
    deploy.kill();
    assert_eq!(project.serves().as_ref(), Some(&first));
    // It still waits there: what it waits for is in the volume that both have.
    let volume = docker_says(&["volume", "inspect", "--format", "{{.Mountpoint}}", &format!("{}-data", site.prefix)]);
    fs_err::write(Path::new(&volume).join("go"), "").unwrap();
    site.run(&["deploy", "prod", "--resume"]).expect(0);
    assert_eq!(project.serves().as_ref(), Some(&second));

    // A proxy that cannot be started, because its port is taken, leaves the one that runs.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let holder = std::net::TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let port = |port: u16| format!("port: {port}\n    proxy");
    project.edit("deploy.yaml", &port(project.port), &port(taken));
    project.commit("Another port");
    site.run(&["deploy", "prod"]).expect(1).says(&[&taken.to_string()]);
    until("the proxy answers again", || project.serves().as_ref() == Some(&second));
    drop(holder);
    assert_eq!(site.containers().len(), 2, "{:?}", site.containers());
}

#[test]
fn the_host_pulls_from_a_registry_and_forgets_what_nothing_goes_back_to() {
    let test = "the_host_pulls_from_a_registry_and_forgets_what_nothing_goes_back_to";
    let Some(registry) = or_skip(test, DockerRegistry::start(Login::Open)) else { return };
    let lines = format!("    registry: {}/shop\n    keep_releases: 1\n", registry.address);
    let Some(site) = Site::open(test, &lines) else { return };
    let project = &site.project;
    let name = format!("{}/shop/{}", registry.address, site.prefix.trim_end_matches("-prod"));
    let digests = || docker_says(&["images", "--digests", "--format", "{{.Digest}}", &name]);
    // What was pushed from this engine is there, too: the deploy has to pull.
    let forget = || Ran::of(&mut docker(&["rmi", "--force", &docker_says(&["images", "--quiet", &name])]));
    site.run(&["image", "push", "prod"]).expect(0);
    forget().expect(0);
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(project.serves(), Some(project.head()));
    let first = digests();
    assert!(first.starts_with("sha256:"), "{first}");
    let second = site.commit("ready, and another image");
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(project.serves(), Some(second));
    assert!(!digests().contains(&first), "{first} is left");
    // The registry has it.
    site.run(&["rollback", "prod"]).expect(0);
    assert_eq!(digests().lines().filter(|digest| **digest == *first).count(), 1);
}

#[test]
fn an_image_stays_while_another_environment_of_the_host_can_go_back_to_it() {
    let test = "an_image_stays_while_another_environment_of_the_host_can_go_back_to_it";
    let Some(site) = Site::open(test, "    keep_releases: 1\n") else { return };
    let project = &site.project;
    let yaml = project.read("deploy.yaml");
    let (_, prod) = yaml.split_once("  prod:\n").unwrap();
    let port = devservers::port::free();
    let next =
        prod.replace("    keep_releases: 1\nimage: {}\n", "").replace(&project.port.to_string(), &port.to_string());
    project.edit("deploy.yaml", "  prod:\n", &format!("  next:\n{next}  prod:\n"));
    fs_err::copy(project.root.join(".env.prod"), project.root.join(".env.next")).unwrap();
    let first = project.commit("Two environments");
    for environment in ["next", "prod"] {
        site.run(&["deploy", environment]).expect(0);
    }
    site.commit("ready, and another image");
    for environment in ["next", "prod"] {
        site.run(&["deploy", environment]).expect(0);
    }
    site.run(&["rollback", "next"]).expect(0);
    assert_eq!(testkit::client::get(port, "/version").unwrap().expect(200).text(), first);
}

#[test]
fn a_host_that_is_reached_by_ssh_keeps_the_records() {
    let test = "a_host_that_is_reached_by_ssh_keeps_the_records";
    let Some(sshd) = or_skip(test, Sshd::start()) else { return };
    let host = format!("    host: ssh://root@127.0.0.1:{}\n", sshd.port);
    let Some(mut site) = Site::open(test, &host) else { return };
    site.bin = Some(sshd.bin());
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    let second = project.commit("Another");
    site.run(&["deploy", "prod"]).expect(0).says(&[&format!("{first} → {second}")]);
    assert_eq!(project.serves().as_ref(), Some(&second));
    let states = sshd.states().join("xtask").join(site.prefix.trim_end_matches("-prod")).join("prod");
    let records = || fs_err::read_dir(states.join("records")).unwrap().count();
    assert_eq!(records(), 2);
    assert!(!project.root.join(".deploy/prod/records").exists());
    site.commit("unready");
    site.run(&["deploy", "prod"]).expect(30);
    site.run(&["status", "prod"]).expect(0).says(&[]);
    site.run(&["rollback", "prod"]).expect(0);
    assert_eq!(project.serves().as_ref(), Some(&first));
    assert_eq!(records(), 4);
    assert!(site.run(&["logs", "prod"]).expect(0).stdout.contains(&format!("{first} begins")));

    // A host that is away is an error with the command to try.
    drop(sshd);
    site.run(&["status", "prod"]).expect(1).says(&["connect to ssh://root@127.0.0.1"]);
}

/// A commit of a fixture that behaves like this, with its program in the folder `root`: its version. `name` is that of the folder in which
/// it is compiled.
pub fn commit(project: &Project, name: &str, behaviour: &str) -> String {
    project.write("src/behaviour.txt", behaviour);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host").join(name);
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--offline", "--quiet"]).current_dir(&project.root);
    Ran::of(build.env("CARGO_TARGET_DIR", &target)).expect(0);
    devservers::caddy::with_libraries(&target.join("release/fixture"), &project.root.join("root"), "fixture").unwrap();
    project.commit(behaviour)
}

#[tokio::test]
async fn an_image_is_copied_from_engine_to_engine_with_its_id() {
    let test = "an_image_is_copied_from_engine_to_engine_with_its_id";
    if !engine_answers(test) {
        return;
    }
    let Some(other) = or_skip(test, OwnEngine::start(None)) else { return };
    let (here, there) = (Engine::connect(None).await.unwrap(), Engine::connect(Some(&other.address())).await.unwrap());
    let id = here.image(base_image()).await.unwrap().unwrap().id;
    assert_eq!(there.image(&id).await.unwrap(), None);
    here.copy(base_image(), &there).await.unwrap();
    assert_eq!(there.image(base_image()).await.unwrap().unwrap().id, id);
    let error = format!("{:#}", here.copy("no-such-image:1", &there).await.unwrap_err());
    assert!(error.contains("copy the image no-such-image:1"), "{error}");
}
