//! A repository with a Dockerfile alone: its image is the release on this machine.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use testkit::load::Load;
use testkit::{Project, Ran, client, machine, until};

use crate::shop::{docker, docker_says, engine_answers, runs};

/// The project, whose containers, volumes and images are removed with it.
struct Site {
    project: Project,
    name: String,
}

impl Site {
    fn open(test: &str) -> Option<Self> {
        if !engine_answers(test) {
            return None;
        }
        let project = Project::of("contained", |project| {
            fs_err::create_dir(project.root.join("bin")).unwrap();
            let busybox = project.root.join("bin/busybox");
            fs_err::copy("/bin/busybox", busybox).expect("Debian's package busybox-static is installed");
        });
        let name = format!("contained-{}", std::process::id());
        fs_err::remove_file(project.root.join("deploy.yaml")).unwrap();
        Some(Self { project, name })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env_remove("BUILDKIT_HOST").env_remove("DOCKER_HOST");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(args));
        // Shown where the test fails.
        println!("{args:?}\n{}", ran.stderr);
        ran
    }

    fn get(&self, path: &str) -> String {
        client::get(self.project.port, path).unwrap().text()
    }

    /// The containers of the environment: name and state.
    fn containers(&self) -> Vec<String> {
        let label = format!("label=xtask.folder={}", self.project.root.join(".deploy/local").display());
        let all = docker_says(&["ps", "--all", "--format", "{{.Names}} {{.State}}", "--filter", &label]);
        all.lines().map(str::to_owned).collect()
    }

    fn images(&self) -> usize {
        docker_says(&["images", "--quiet", &self.name]).lines().count()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.command(&["stop"]).output());
        let name = format!("name={}", self.name);
        for (list, remove) in [(["ps", "--all"], ["rm", "--force"]), (["volume", "ls"], ["volume", "rm"])] {
            let found = Ran::of(&mut docker(&[&list[..], &["--quiet", "--filter", &name]].concat())).stdout;
            for id in found.split_whitespace() {
                drop(docker(&[&remove[..], &[id]].concat()).output());
            }
        }
        let images = Ran::of(&mut docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &self.name])).stdout;
        for image in images.split_whitespace() {
            drop(docker(&["rmi", "--force", image]).output());
        }
    }
}

#[test]
fn a_dockerfile_alone_is_deployed_under_load_breaks_goes_back_and_stops() {
    let test = "a_dockerfile_alone_is_deployed_under_load_breaks_goes_back_and_stops";
    let Some(site) = Site::open(test) else { return };
    let project = &site.project;
    site.run(&["init", "--yes", "--readiness", "/health"]).expect(0);
    let written = project.read("deploy.yaml");
    assert!(written.contains("  image: true ") && written.contains("  port_variable: PORT "), "{written}");
    project.edit("deploy.yaml", "project: project", &format!("project: {}", site.name));
    project.edit("deploy.yaml", "port: 8000", &format!("port: {}, keep_releases: 2", project.port));
    let env = "  env:\n    GREETED: world\n    SESSION_KEY: { generate: 24 }\n    \
        UPLOADS: { supplied_by: 'data-folder:uploads' }\nenvironments:";
    project.edit("deploy.yaml", "environments:", env);

    // An image is built from a commit.
    site.run(&["deploy"]).expect(1).says(&["is built from a commit"]);
    let first = project.commit("A service in a container");
    site.run(&["doctor"]).expect(0);
    site.run(&["deploy", "--dry-run"]).expect(0);
    site.run(&["deploy"]).expect(0).says(&["is ready", &format!("http://localhost:{}", project.port)]);
    assert_eq!(site.get("/"), "hello\n");
    // 24 bytes in 48 digits, and nowhere but in the variables.
    assert_eq!(site.get("/env"), "world, a key of 48 characters\n");
    let secrets = project.read(".deploy/local/secrets.env");
    let key = secrets.lines().find_map(|line| line.strip_prefix("SESSION_KEY=")).unwrap();
    assert!(!runs(key));
    site.run(&["deploy"]).expect(0).says(&["unchanged"]);
    assert!(site.run(&["logs"]).expect(0).stdout.contains("listening on 8080"));
    site.run(&["status"]).expect(0).says(&[]);

    // A program beside the service lives through a deploy.
    let script = "trap 'exit 3' TERM; echo begun; while :; do sleep 0.1; done";
    let mut beside = site.command(&["run", "--", "/bin/busybox", "sh", "-c", script]);
    let mut beside = beside.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(beside.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "begun\n");

    let load = Load::start(project.port, 2);
    let more = || {
        let before = load.answered();
        until("the clients have asked more", || load.answered() > before + 50);
    };
    more();
    project.write("www/index.html", "good day\n");
    let second = project.commit("Another greeting");
    site.run(&["deploy"]).expect(0).says(&[&format!("{first} → {second}")]);
    assert_eq!(site.get("/"), "good day\n");
    assert!(beside.try_wait().unwrap().is_none(), "the deploy has ended the program beside the service");
    Ran::of(Command::new("kill").arg(beside.id().to_string())).expect(0);
    assert_eq!(beside.wait().unwrap().code(), Some(3));
    // Both have written into the same volume.
    assert_eq!(site.get("/starts"), "once\nonce\n");
    more();
    project.write("www/broken", "");
    project.commit("Broken");
    site.run(&["deploy"]).expect(30).says(&["exit code 3", "the moon is down"]);
    assert_eq!(site.get("/"), "good day\n");
    more();
    site.run(&["rollback"]).expect(0);
    assert_eq!(site.get("/"), "hello\n");
    more();
    let failures = load.end();
    assert!(failures.is_empty(), "{} failed, such as {}", failures.len(), failures[0]);
    until("the other container has ended", || site.containers().len() == 1);

    // What crashes is started again.
    let running = site.containers()[0].split(' ').next().unwrap().to_owned();
    docker_says(&["kill", &running]);
    until("it serves again", || client::get(project.port, "/").is_ok_and(|answer| answer.text() == "hello\n"));
    assert_ne!(site.containers()[0].split(' ').next(), Some(running.as_str()));
    let ran =
        site.run(&["run", "--", "/bin/busybox", "sh", "-c", "echo \"$GREETED ${#SESSION_KEY}\"; exit 7"]).expect(7);
    assert!(ran.stdout.contains("world 48"), "{}", ran.stdout);

    project.git(&["rm", "--quiet", "www/broken"]);
    project.write("www/index.html", "good night\n");
    project.commit("A third greeting");
    site.run(&["deploy"]).expect(0);
    assert_eq!(site.images(), 3, "the broken one never went live, and the one before the last two is removed");
    site.run(&["stop"]).expect(0).says(&[]);
    assert_eq!(site.containers(), [""; 0]);
    until("every process has ended", || machine::processes_below(&project.root).is_empty());
}
