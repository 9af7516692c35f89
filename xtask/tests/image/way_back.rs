//! The way back on a stack: the released image is started in this machine's engine, on the schema that a new release leaves.

use std::path::Path;
use std::process::Command;

use camino::Utf8Path;
use xtask::config::Config;
use xtask::deploy::run::Run;
use xtask::deploy::way_back::way_back;
use xtask::env::Env;
use xtask::release::{MediaSettings, Migration, Published, PublishedForm, Release, Source, Trial, WayBack};
use xtask::report::{Audience, Report};
use xtask::secrets::Redactor;
use xtask::signals::Stop;
use xtask::state::history::{self, Kind, Outcome, Record};
use xtask::targets::{Stack, Target};
use xtask::tools::git::{self, Filters};

use crate::shop::{docker_says, engine_answers};
use devservers::registry::{DockerRegistry, Login, PASSWORD, USER};
use testkit::{Project, Ran, or_skip};

/// The program and the libraries that it loads, for a user that only the group of the database's socket lets in.
const DOCKERFILE: &str = "FROM scratch\nCOPY root /\nUSER 10001:10001\nCMD [\"/ledger\", \"serve\"]\n";

#[test]
fn a_released_image_starts_on_the_new_schema_or_the_deploy_knows_that_it_does_not() {
    let test = "a_released_image_starts_on_the_new_schema_or_the_deploy_knows_that_it_does_not";
    if !engine_answers(test) {
        return;
    }
    let Some(registry) = or_skip(test, DockerRegistry::start(Login::Password)) else { return };
    for (behaviour, starts) in [("lenient", true), ("strict", false)] {
        let project = ledger(behaviour, &registry);
        let mut push = project.command(&["image", "push", "production"]);
        let image = Ran::of(&mut push).expect(0).stdout.trim().to_owned();
        let before = migrations(&project);
        project.write("migrations/0002_size.sql", "ALTER TABLE entry ADD COLUMN size bigint NOT NULL DEFAULT 0;\n");
        project.commit("A migration");
        let found = look(&project, &image, before);
        assert_eq!(found.across, ["0002_size.sql"]);
        match &found.trial {
            Trial::Starts if starts => {}
            Trial::Fails(why) if !starts => {
                assert!(why.contains("its container ended with exit code 1"), "{why}");
                assert!(why.contains("migration 2 was previously applied but is missing"), "{why}");
                assert!(!why.contains("sentinel"), "{why}");
            }
            other => panic!("{behaviour}: {other:?}"),
        }
        assert_eq!(docker_says(&["ps", "--all", "--quiet", "--filter", "label=xtask.trial"]), "");
        docker_says(&["rmi", "--force", &image]);
    }
}

/// A project whose service's image is made of a program of this machine.
fn ledger(behaviour: &str, registry: &DockerRegistry) -> Project {
    let package = format!("ledger-image-{behaviour}");
    let project = Project::of("ledger", |project| {
        project.edit("Cargo.toml", "\"ledger\"", &format!("\"{package}\""));
        project.edit("deploy.yaml", "package: ledger", &format!("package: {package}"));
        let production = format!(
            "  production:\n    target: scaleway\n    registry: {}/{behaviour}\n    gate: {{ timeout: 30 }}\n    settings: {{ DATA_DIR: /dev/shm }}\nimage: {{}}\n",
            registry.address
        );
        project.write("deploy.yaml", &format!("{}{production}", project.read("deploy.yaml")));
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        fs_err::copy(lock, project.root.join("Cargo.lock")).unwrap();
        project.write("src/behaviour.txt", behaviour);
        project.write("Dockerfile", DOCKERFILE);
        project.write(".dockerignore", "*\n!root\n");
        project.write(".gitignore", "/.deploy\n/target\n.env.*\n");
    });
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger");
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--release", "--offline", "--quiet"])
        .current_dir(&project.root)
        .env("CARGO_TARGET_DIR", &target);
    Ran::of(&mut build).expect(0);
    let (program, root) = (target.join("release").join(&package), project.root.join("root"));
    fs_err::create_dir_all(&root).unwrap();
    fs_err::copy(&program, root.join("ledger")).unwrap();
    let loads = Ran::of(Command::new("ldd").arg(&program)).expect(0).stdout;
    for library in loads.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(library.trim_start_matches('/'));
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        fs_err::copy(library, to).unwrap();
    }
    let secrets = format!(
        "REGISTRY_HOST={}\nREGISTRY_USERNAME={USER}\nREGISTRY_PASSWORD={PASSWORD}\nDATABASE_URL=postgres://a:sentinel@db.example.org/a\n",
        registry.address
    );
    project.write(".env.production", &secrets);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs_err::set_permissions(project.root.join(".env.production"), private).unwrap();
    project.commit("As an image");
    project
}

fn migrations(project: &Project) -> Vec<Migration> {
    Migration::of(&Config::load(Utf8Path::from_path(&project.root).unwrap()).unwrap()).unwrap()
}

/// What a deploy finds of the way back to an image that is live and has these migrations.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn look(project: &Project, image: &str, migrations: Vec<Migration>) -> WayBack {
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = Config::load(Utf8Path::from_path(&project.root).unwrap()).unwrap();
    let (_sender, stop) = Stop::channel();
    let report = Report::new(Audience::Plain, false, Redactor::default());
    let env = Env::find(&config, "production", &report, &stop).unwrap();
    let (name, digest) = image.split_once('@').unwrap();
    let head = git::source(env.root(), Filters::Off).await.unwrap();
    let earlier = project.git(&["rev-parse", "HEAD~1"]).trim().to_owned();
    let version = earlier[..12].to_owned();
    let mut live = Record::begin(history::new_id().unwrap(), Kind::Deploy, "production", 1);
    live.source = Some(Source { commit: earlier, version, subject: String::new(), branch: None });
    live.digest = Some(digest.to_owned());
    live.migrations = migrations;
    live.settings = [("DATA_DIR".to_owned(), "/dev/shm".to_owned())].into();
    live.end(Outcome::Live, None);
    let target = Target::of(&env);
    target.sign(&mut live).await.unwrap();
    history::append(env.store().unwrap(), &live).await.unwrap();

    let run = Run::begin(&env, &target, Kind::Deploy, "a test".to_owned(), false).await.unwrap();
    let settings = Stack::new(&env).settings(&MediaSettings::default()).unwrap();
    let form = PublishedForm::Image { name: name.to_owned() };
    let published =
        Published { source: head, digest: digest.to_owned(), migrations: Migration::of(&config).unwrap(), form };
    let release = Release::new(published, &settings).unwrap();
    let found = run.finish(async { way_back(&run, &release, &settings, false).await }).await;
    found.unwrap().expect("a migration is new")
}
