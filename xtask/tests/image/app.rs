//! This repository's own image: built from its commit, pushed, and run as in production.

use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::shop::{docker, docker_says, engine_answers, push};
use devservers::port;
use devservers::registry::{DockerRegistry, Login, PASSWORD, USER};
use testkit::client::Client;
use testkit::git::commit;
use testkit::{Ran, clone_for_image, toolkit, until};

const TOKEN: &str = "a-bootstrap-token-of-32-characters";

/// A real photograph from Debian's package mate-backgrounds.
const PHOTOGRAPH: &str = "/usr/share/backgrounds/mate/nature/Garden.jpg";

/// Seconds between SIGTERM and SIGKILL.
const GRACE: u64 = 40;

#[test]
fn the_services_image_is_pushed_and_runs_as_production_runs_it() {
    let test = "the_services_image_is_pushed_and_runs_as_production_runs_it";
    let Ok(database) = std::env::var("TEST_DATABASE_URL") else {
        return testkit::skipped(test, "TEST_DATABASE_URL is not set; cargo xtask test --only image sets it");
    };
    if !engine_answers(test) {
        return;
    }
    let Some(registry) = testkit::or_skip(test, DockerRegistry::start(Login::Password)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clone");
    prepare(&root, &registry);
    let toolkit = |args: &[&str]| {
        let mut command = Command::new(toolkit());
        command.args(args).current_dir(&root).stdin(Stdio::null()).stderr(Stdio::inherit());
        command.env("REGISTRY_HOST", &registry.address).env_remove("CI");
        command.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", PASSWORD);
        Ran::of(&mut command).expect(0).stdout.trim().to_owned()
    };
    toolkit(&["image", "pin", "production"]);
    commit(&root, "Pin the base images");
    let image = toolkit(&["image", "push", "production"]);
    let (repository, digest) = image.split_once('@').unwrap();
    let there = registry.head(repository.split_once('/').unwrap().1, digest);
    assert_eq!(there.0, 200, "{}", there.1);

    // Pulled from the registry by its digest, as another machine would.
    let tags = docker_says(&["images", "--format", "{{.Repository}}:{{.Tag}}", repository]);
    docker_says(&[&["rmi", "--force"], &tags.lines().collect::<Vec<_>>()[..]].concat());
    let config = registry.docker_config();
    Ran::of(docker(&["pull", "--quiet", &image]).env("DOCKER_CONFIG", config.path())).expect(0);
    let container = Container::start(&image, &by_tcp(&database));
    container.works(&git(&root, &["rev-parse", "HEAD"])[..12]);
    container.has_its_programs();
    container.ends_in_grace();
    docker_says(&["rmi", "--force", &image]);
}

/// A clone of this repository's commit whose environment has a registry, which contains the base images.
fn prepare(root: &Path, registry: &DockerRegistry) {
    clone_for_image(root);
    let mut deploy: serde_yaml::Value =
        serde_yaml::from_str(&fs_err::read_to_string(root.join("deploy.yaml")).unwrap()).unwrap();
    let production = json!({ "target": "scaleway", "registry": format!("{}/meemi", registry.address) });
    deploy["environments"]["production"] = serde_yaml::to_value(production).unwrap();
    for base in deploy["image"]["bases"].as_mapping_mut().unwrap().values_mut() {
        let name = base.as_str().unwrap();
        devservers::bases::make_available(name).unwrap();
        let ours = format!("{}/bases/{}", registry.address, name);
        push(registry, name, &ours);
        *base = ours.into();
    }
    fs_err::write(root.join("deploy.yaml"), serde_yaml::to_string(&deploy).unwrap()).unwrap();
    commit(root, "An environment with a registry");
}

fn git(root: &Path, args: &[&str]) -> String {
    Ran::of(testkit::git(root).args(args)).expect(0).stdout.trim().to_owned()
}

/// The same database at an address that a container reaches: a socket is open to this user only.
fn by_tcp(database: &str) -> String {
    let Some((address, folder)) = database.split_once("?host=") else { return database.to_owned() };
    let folder = percent_encoding::percent_decode_str(folder).decode_utf8().unwrap().into_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(format!("{folder}/.s.PGSQL.5432")) else { return };
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                std::io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Both).ok();
            });
            let (mut from, mut to) = (client, server);
            std::thread::spawn(move || {
                std::io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Both).ok();
            });
        }
    });
    address.replace("@localhost/", &format!("@127.0.0.1:{port}/"))
}

/// The service in a container with a read-only root file system.
struct Container {
    id: String,
    port: u16,
}

impl Container {
    fn start(image: &str, database: &str) -> Self {
        let port = port::free();
        let mut run = docker(&["run", "--detach", "--network", "host", "--read-only", "--tmpfs", "/tmp"]);
        run.args(["--volume", "/data/uploads", "--memory", "1g"]);
        run.args(["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]);
        for name in ["DATABASE_URL", "JWT_SECRET", "BOOTSTRAP_TOKEN", "PORT"] {
            run.args(["--env", name]);
        }
        run.env("DATABASE_URL", database).env("BOOTSTRAP_TOKEN", TOKEN).env("PORT", port.to_string());
        run.env("JWT_SECRET", "a-secret-that-signs-of-32-characters");
        let id = Ran::of(run.arg(image)).expect(0).stdout.trim().to_owned();
        let container = Self { id, port };
        until("the container is healthy", || {
            let state = container.inspect("{{.State.Status}} {{.State.Health.Status}}");
            assert!(state.starts_with("running"), "{state}:\n{}", container.logs());
            assert!(!state.ends_with("unhealthy"), "{state}:\n{}", container.logs());
            state.ends_with(" healthy")
        });
        container
    }

    /// Checks the version, and uploads and downloads a picture.
    fn works(&self, version: &str) {
        let mut client = Client::new(self.port);
        let ready = client.get("/api/health/readiness").unwrap().expect(200).json();
        assert_eq!(ready["version"], version, "{ready}");
        // The web UI, built in the image.
        let page = client.get("/").unwrap().expect(200).text();
        let script = page.split('"').find(|text| text.starts_with("/assets/") && text.ends_with(".js"));
        client.get(script.unwrap_or_else(|| panic!("{page}"))).unwrap().expect(200);
        let account = json!({ "username": "ada", "password": "a long password", "bootstrap_token": TOKEN });
        let account = client.post_json("/api/auth/register", &account).unwrap().expect(201).json();
        let mut client = client.signed_in(account["token"].as_str().unwrap());
        let picture = fs_err::read(PHOTOGRAPH).expect("Debian's package mate-backgrounds is installed");
        let media = client.post_file("/api/media", "garden.jpg", "image/jpeg", &picture).unwrap().expect(201).json();
        assert_eq!(media["status"], "ready", "{media}");
        let original = client.get(media["file_url"].as_str().unwrap()).unwrap().expect(200);
        assert!(original.body == picture, "the original came back as other bytes");
        let thumbnail = client.get(media["thumbnail_url"].as_str().unwrap()).unwrap().expect(200);
        let (_, width, height) = webpx::decode_rgba(&thumbnail.body).unwrap();
        assert_eq!(width.max(height), 600);
    }

    /// Checks that the programs for video and for text in English and Finnish run as the container's user.
    fn has_its_programs(&self) {
        assert_ne!(self.says(&["id", "-u"]), "0");
        Ran::of(&mut docker(&["exec", &self.id, "touch", "/written"])).expect(1).says(&["Read-only file system"]);
        for program in ["ffmpeg", "ffprobe"] {
            assert!(self.says(&[program, "-version"]).starts_with(program));
        }
        let models = self.says(&["tesseract", "--list-langs"]);
        assert!(models.contains("eng") && models.contains("fin"), "{models}");
        let trusted = self.says(&["sh", "-c", "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt"]);
        assert!(trusted.parse::<u32>().unwrap() > 50, "{trusted} certificate authorities");
        assert!(!self.logs().contains(TOKEN));
    }

    /// Checks that the service exits on SIGTERM, before SIGKILL.
    fn ends_in_grace(&self) {
        let began = Instant::now();
        docker_says(&["stop", "--time", &GRACE.to_string(), &self.id]);
        assert!(began.elapsed() < Duration::from_secs(GRACE), "it was killed");
        assert_eq!(self.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}"), "0 false", "{}", self.logs());
    }

    fn says(&self, command: &[&str]) -> String {
        docker_says(&[&["exec", &self.id], command].concat())
    }

    fn inspect(&self, format: &str) -> String {
        docker_says(&["inspect", "--format", format, &self.id])
    }

    fn logs(&self) -> String {
        let ran = Ran::of(&mut docker(&["logs", &self.id]));
        ran.stdout + &ran.stderr
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(docker(&["rm", "--force", "--volumes", &self.id]).output());
    }
}
