//! Deploys to an Easypanel: a stand-in of the panel, which runs real containers of this machine's engine.

mod docker;
mod guide;

use std::process::Command;

use devservers::easypanel::{DEPLOY, Easypanel, Fault, PASSWORD, PROJECT, TOKEN, Version};
use devservers::http::{HttpServer, Response, ask};
use devservers::registry::{DockerRegistry, Login};
use devservers::{Versitygw, versitygw};
use rustix::process::Signal;
use testkit::{Project, Ran, Running, or_skip, until};

use self::docker::Docker;
use crate::host::{DOCKERFILE, commit};
use crate::shop::{docker, engine_answers};

/// This machine's engine, as the one on which the panel runs its services.
const ENGINE: &str = "unix:///var/run/docker.sock";
const SECRET: &str = "a-secret-of-the-service";

/// The fixture, whose environment `prod` is at a panel.
struct Site {
    project: Project,
    version: Version,
    panel: Easypanel,
    docker: Docker,
    /// Where people reach the service.
    public: HttpServer,
    _registry: DockerRegistry,
}

impl Site {
    /// With these services, and these lines in the environment too. `None` if this machine cannot run the test.
    fn open(test: &str, version: Version, services: &[&str], lines: &str) -> Option<Self> {
        if !engine_answers(test) {
            return None;
        }
        let registry = or_skip(test, DockerRegistry::start(Login::Open))?;
        let docker = Docker::new(&registry.address);
        let mut all: Vec<(&str, &str)> = services.iter().map(|name| (*name, "app")).collect();
        all.push(("db", "postgres"));
        let panel = Easypanel::start(version, &all, docker.clone());
        let (running, web) = (docker.clone(), services[0].to_owned());
        let public = HttpServer::start(move |request| {
            let answer = running.port(&web).map(|port| {
                ask(
                    &format!("127.0.0.1:{port}"),
                    &request.method,
                    &request.path,
                    &[("Connection", "close")],
                    &request.body,
                )
            });
            match answer {
                Some(Ok(answer)) => Response::new(answer.status).body("application/json", answer.body),
                Some(Err(_)) | None => Response::new(502),
            }
        });
        let project = Project::of("fixture", |project| {
            let prod = format!(
                "  prod:\n    target: easypanel\n    panel: {}\n    project: {PROJECT}\n    services: [{}]\n    address: http://{}\n    \
                 registry: {}/shop\n    gate: {{ timeout: 6, no_progress: 6 }}\n    settings: {{ GREETING: moi }}\n{lines}image: {{}}\n",
                panel.address,
                services.join(", "),
                public.address,
                registry.address,
            );
            project.write("deploy.yaml", &(project.read("deploy.yaml") + &prod));
            project.write("Dockerfile", DOCKERFILE);
            project.write(".dockerignore", "*\n!root\n");
            project.write(".gitignore", "/.deploy\n/target\n.env.*\n");
        });
        let site = Self { project, version, panel, docker, public, _registry: registry };
        site.secrets(TOKEN);
        site.commit("ready");
        Some(site)
    }

    /// Writes the environment's secrets.
    fn secrets(&self, token: &str) {
        self.project
            .write(".env.prod", &format!("EASYPANEL_TOKEN={token}\nSIGNING_KEY={SECRET}\nAPI_TOKEN={SECRET}\n"));
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs_err::set_permissions(self.project.root.join(".env.prod"), private).unwrap();
    }

    fn commit(&self, behaviour: &str) -> String {
        commit(&self.project, &format!("easypanel-{:?}", self.version), behaviour)
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env_remove("BUILDKIT_HOST").env_remove("DOCKER_HOST");
        command
    }

    fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        let ran = Ran::of(self.command(args).envs(env.iter().copied()));
        // Shown where the test fails.
        println!("{args:?}\n{}", ran.stderr);
        for secret in [SECRET, TOKEN, PASSWORD] {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{args:?} tells a secret: {ran:?}");
        }
        ran
    }

    /// The version that people reach.
    fn serves(&self) -> Option<String> {
        let answer = ask(&self.public.address, "GET", "/version", &[], "").unwrap();
        (answer.status == 200).then(|| answer.text())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.docker.remove();
    }
}

#[test]
fn the_panel_runs_a_release_and_gets_the_previous_one_again_when_it_is_not_ready() {
    let test = "the_panel_runs_a_release_and_gets_the_previous_one_again_when_it_is_not_ready";
    let Some(site) = Site::open(test, Version::Public, &["web", "worker"], "") else { return };
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0).says(&[&format!("http://{}", site.public.address), "web, worker"]);
    assert_eq!(site.serves().as_ref(), Some(&first));
    let image = site.panel.image("web").unwrap();
    assert!(image.contains("/shop/fixture@sha256:") && site.panel.image("worker").as_ref() == Some(&image), "{image}");
    assert_eq!(site.docker.running(), ["web", "worker"]);
    // What the panel had stays.
    let env = site.panel.env("web");
    assert!(env.starts_with("# of the panel\nTZ=Europe/Helsinki\n") && env.contains("\nGREETING=moi\n"), "{env}");
    site.run(&["deploy", "prod"]).expect(0).says(&["unchanged"]);
    // What was changed by hand is set right.
    site.panel.set_env("worker", &site.panel.env("worker").replace("GREETING=moi", "GREETING=hei"));
    let again = site.run(&["deploy", "prod"]).expect(0);
    assert!(!again.stderr.contains("unchanged") && site.panel.env("worker").contains("GREETING=moi"), "{again:?}");

    // The same image, by its version.
    let second = project.commit("Another");
    site.run(&["deploy", "prod"]).expect(0).says(&[&format!("{first} → {second}")]);
    assert_eq!(site.serves().as_ref(), Some(&second));
    assert_eq!(site.panel.image("web"), Some(image.clone()));

    let broken = site.commit("unready");
    let ran = site.run(&["deploy", "prod"]).expect(30);
    assert!(ran.stderr.contains("the moon is down") && ran.stderr.contains("its log is in the panel"), "{ran:?}");
    assert!(ran.stderr.contains(&format!("{second} serves as before")), "{ran:?}");
    assert_eq!(site.serves().as_ref(), Some(&second));
    assert_eq!([site.panel.image("web"), site.panel.image("worker")], [Some(image.clone()), Some(image.clone())]);

    let status = site.run(&["status", "prod"]).expect(0).stdout;
    assert!(status.contains("the platform says ready"), "{status}");
    let status = site.run(&["status", "prod", "--json"]).expect(0).stdout;
    assert!(status.contains(&format!("\"version\":\"{second}\"")) && status.contains("\"ready\":true"), "{status}");
    site.run(&["rollback", "prod"]).expect(0).says(&[&first]);
    assert_eq!(site.serves().as_ref(), Some(&first));
    let history = site.run(&["history", "prod"]).expect(0).stdout;
    assert!([&first, &second, &broken].iter().all(|version| history.contains(version.as_str())), "{history}");
    let host = "add `host: ssh://USER@HOST` to environments.prod";
    site.run(&["logs", "prod"]).expect(2).says(&[host, "project shop, service web, Logs"]);
    site.run(&["run", "prod", "--", "tell"]).expect(2).says(&[host, "Console"]);
    site.run(&["stop", "prod"]).expect(2).says(&["target: local"]);
    // It fails on a machine without room for builds.
    let doctor = site.run(&["doctor", "prod"]).stdout;
    assert!(doctor.contains("Easypanel 2.33 or newer") && doctor.contains("shop/worker"), "{doctor}");

    let mut records = Command::new("grep");
    let sentinels = ["-e", SECRET, "-e", TOKEN, "-e", PASSWORD];
    records.args(["--recursive", "--fixed-strings"]).args(sentinels).arg(project.root.join(".deploy"));
    Ran::of(&mut records).expect(1);
}

#[test]
fn the_engine_of_the_panel_shows_logs_and_runs_a_program_beside_a_service() {
    let test = "the_engine_of_the_panel_shows_logs_and_runs_a_program_beside_a_service";
    let host = format!("    host: {ENGINE}\n");
    let Some(site) = Site::open(test, Version::Public, &["web", "worker"], &host) else { return };
    let project = &site.project;
    site.run(&["logs", "prod"]).expect(1).says(&["no service of prod has a container"]);
    site.run(&["run", "prod", "--", "tell"]).expect(1).says(&["nothing was deployed to prod yet"]);
    let version = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    let begins = |service: &str| format!("{service} | {version} begins, ready\n");
    let logs = site.run(&["logs", "prod"]).expect(0).stdout;
    assert!(logs.contains(&begins("web")) && logs.contains(&begins("worker")), "{logs}");
    assert_eq!(site.run(&["logs", "prod", "-n", "0"]).expect(0).stdout, "");
    // It fails on a machine without room for builds.
    let doctor = site.run(&["doctor", "prod"]).stdout;
    assert!(
        doctor.contains("this machine has that of web") && doctor.contains("this machine has that of worker"),
        "{doctor}"
    );

    // With the settings of deploy.yaml, the secrets, the volume and the panel's own variables.
    let told = site.run(&["run", "prod", "--", "tell", "a b"]).expect(7).says(&["exit code 7"]).stdout;
    assert!(told.contains(&format!("[\"tell\", \"a b\"] {version} moi")), "{told}");
    assert!(told.contains(&format!("a token of {} bytes", SECRET.len())) && told.contains("data true"), "{told}");
    site.panel.set_env("web", &format!("{}\nSHOULD_NOT_BE_INHERITED=by the panel", site.panel.env("web")));
    // The settings are as they were: only another release has the panel deploy the variable.
    let version = project.commit("Another");
    site.run(&["deploy", "prod"]).expect(0);
    let told = site.run(&["run", "prod", "--", "tell"]).expect(7).stdout;
    assert!(told.contains("inherited by the panel"), "{told}");
    // Services have their names in its network.
    let asked = site.run(&["run", "prod", "--", "ask", "worker:8080"]).expect(0).stdout;
    assert!(asked.contains("worker:8080 answers"), "{asked}");
    site.run(&["run", "prod", "--", "ask", "nothing:8080"]).expect(101);
    let mut waiting = Running::start(site.command(&["run", "prod", "--json"]).args(["--", "wait"]));
    waiting.must_tell(|event| event["detail"]["line"] == "it waits");
    waiting.signal(Signal::INT);
    assert!(waiting.end().expect(1).stderr.contains("the program was stopped"));
    let left = docker(&["ps", "--all", "--quiet", "--filter", "label=xtask.role=run"])
        .arg("--filter")
        .arg(format!("label=xtask.version={version}"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");

    let mut follow = Running::start(&mut site.command(&["logs", "prod", "--follow", "--json"]));
    let is_line = |event: &serde_json::Value, service: &str, line: &str| {
        event["detail"]["service"] == service && event["detail"]["line"] == format!("{version} {line}")
    };
    follow.must_tell(|event| is_line(event, "worker", "begins, ready"));
    site.docker.terminate("worker");
    follow.must_tell(|event| is_line(event, "worker", "drained"));
    follow.signal(Signal::INT);
    follow.end().expect(0);
    // A container that has ended still has its log.
    let logs = site.run(&["logs", "prod"]).expect(0).stdout;
    assert!(logs.contains(&format!("worker | {version} drained")), "{logs}");

    let away = format!("ssh://root@127.0.0.1:{}", devservers::port::free());
    project.edit("deploy.yaml", ENGINE, &away);
    site.run(&["logs", "prod"]).expect(1).says(&[&format!("connect to {away}")]);
    site.run(&["run", "prod", "--", "tell"]).expect(1).says(&[&format!("connect to {away}")]);
    let doctor = site.run(&["doctor", "prod"]).expect(1).stdout;
    assert!(doctor.contains(&format!("connect to {away}")), "{doctor}");
    // It keeps no deploy away.
    project.commit("While it is away");
    site.run(&["deploy", "prod"]).expect(0);
}

#[test]
fn an_older_panel_is_deployed_to_and_what_it_lacks_or_loses_is_told() {
    let test = "an_older_panel_is_deployed_to_and_what_it_lacks_or_loses_is_told";
    let Some(storage) = or_skip(test, Versitygw::start()) else { return };
    storage.bucket("records");
    let state = format!(
        "    state: {{ bucket: records, region: {}, provider: other, endpoint: '{}' }}\n",
        versitygw::REGION,
        storage.endpoint()
    );
    let Some(site) = Site::open(test, Version::Trpc, &["web"], &state) else { return };
    let project = &site.project;
    let keys = [("AWS_ACCESS_KEY_ID", versitygw::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", versitygw::SECRET_KEY)];
    let deploy = || site.run_with(&["deploy", "prod"], &keys);

    let nothing = format!("http://127.0.0.1:{}", devservers::port::free());
    project.edit("deploy.yaml", &site.panel.address, &nothing);
    deploy().expect(1).says(&[&format!("{nothing} is away"), "check `panel` in deploy.yaml"]);
    project.edit("deploy.yaml", &nothing, &site.panel.address);
    site.secrets("wrong");
    deploy().expect(1).says(&["401 Unauthorized (You are not logged in.)", "EASYPANEL_TOKEN="]);
    site.secrets(TOKEN);
    for (wrong, said) in [("[gone]", "has no service gone"), ("[db]", "of the kind postgres")] {
        project.edit("deploy.yaml", "services: [web]", &format!("services: {wrong}"));
        deploy().expect(1).says(&[said]);
        project.edit("deploy.yaml", wrong, "[web]");
    }
    project.edit("deploy.yaml", &format!("project: {PROJECT}\n"), "project: other\n");
    deploy().expect(1).says(&["has no project other"]);
    project.edit("deploy.yaml", "project: other\n", &format!("project: {PROJECT}\n"));
    project.edit("deploy.yaml", "GREETING: moi", "GREETING: '$(PROJECT_NAME)'");
    deploy().expect(1).says(&["GREETING", "Easypanel may read as something else"]);
    project.edit("deploy.yaml", "GREETING: '$(PROJECT_NAME)'", "GREETING: moi");
    assert_eq!(site.panel.image("web"), None, "something was changed");

    let first = project.commit("The first one");
    deploy().expect(0);
    assert_eq!(site.serves().as_ref(), Some(&first));
    assert!(!project.root.join(".deploy/prod/records").exists());
    // The connection ends in mid-deploy: the service says whether it was done.
    let second = project.commit("Another");
    site.panel.fail_next(Fault::Unanswered);
    deploy().expect(0).says(&["what became of the deploy of web is not known"]);
    assert_eq!(site.serves().as_ref(), Some(&second));
    project.commit("One that may not be set");
    site.panel.fail_next(Fault::Forbidden);
    let refused = deploy().expect(1).says(&["403 Forbidden (You may not change it.)"]);
    assert!(!refused.stderr.contains("restored"), "{refused:?}");
    project.commit("One that is lost");
    site.panel.fail_next(Fault::Lost);
    deploy().expect(30).says(&["what became of the deploy of web is not known", &format!("{second} serves as before")]);
    assert_eq!(site.serves().as_ref(), Some(&second));
    assert!(site.panel.env("web").contains(&format!("SERVICE_VERSION={second}")));
    site.run_with(&["rollback", "prod"], &keys).expect(0).says(&[&first]);
    assert_eq!(site.serves().as_ref(), Some(&first));
}

#[test]
fn ctrl_c_ends_the_wait_for_the_panel_and_names_both_ways() {
    let test = "ctrl_c_ends_the_wait_for_the_panel_and_names_both_ways";
    let Some(site) = Site::open(test, Version::Public, &["web"], "") else { return };
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    // The panel deploys it longer than this test takes.
    project.edit("deploy.yaml", "timeout: 6", "timeout: 600");
    let second = project.commit("Another");
    let deploys = || site.panel.asked().iter().filter(|asked| asked.path.ends_with(DEPLOY)).count();
    let before = deploys();
    site.panel.fail_next(Fault::Endless);
    let mut deploy = Running::start(site.command(&["deploy", "prod"]).arg("--json"));
    deploy.must("apply", "started");
    until("the panel deploys", || deploys() > before);
    deploy.signal(Signal::INT);
    let ended = deploy.end().expect(1);
    let back = format!("cargo xtask rollback prod --to {first}");
    let goes_on = format!("the panel has image and variables of {second}, and goes on with what it deploys");
    for text in ["interrupted by Ctrl-C", &goes_on, &back, "cargo xtask deploy prod --resume"] {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
    assert_eq!(site.run(&["lock", "status", "prod"]).expect(0).stdout, "prod is free\n");
    let history = site.run(&["history", "prod", "--json"]).expect(0).stdout;
    assert!(history.contains("\"outcome\":\"aborted\"") && history.contains(&goes_on), "{history}");
    site.run(&["status", "prod"]).expect(0);

    // Both ways, although the previous release still answers.
    assert_eq!(site.serves().as_ref(), Some(&first));
    let set_to = |version: &str| site.panel.env("web").contains(&format!("SERVICE_VERSION={version}"));
    assert!(set_to(&second));
    site.run(&["rollback", "prod", "--to", &first]).expect(0);
    assert!(set_to(&first) && site.serves().as_ref() == Some(&first));
    site.run(&["deploy", "prod"]).expect(0);
    assert!(set_to(&second) && site.serves().as_ref() == Some(&second));
}
