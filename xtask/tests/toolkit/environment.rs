//! What a deploy's environment holds reaches no program that does not need it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use testkit::{Project, Ran};

/// In every value that must not be passed on.
const POISON: &str = "p0is0n";

/// Variables of people and CI. `API_TOKEN` is a secret of the service, `DATABASE_URL` of another one.
const POISONED: [&str; 8] = [
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "TF_STATE_PASSPHRASE",
    "TF_VAR_secrets",
    "REGISTRY_PASSWORD",
    "STRIPE_KEY",
    "API_TOKEN",
    "CERTIFICATE",
];

/// Puts a program before the real one on the `PATH`. It adds its environment to a file of its name.
fn spy(folder: &Path, program: &str) {
    let path = folder.join(program);
    let dump = folder.join(format!("{program}.environment"));
    let script =
        format!("#!/bin/sh\n/usr/bin/env >>'{}'\nPATH=\"${{PATH#*:}}\" exec {program} \"$@\"\n", dump.display());
    fs_err::write(&path, script).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The environment of a process.
fn of_process(pid: &str) -> String {
    String::from_utf8_lossy(&fs_err::read(format!("/proc/{pid}/environ")).unwrap()).replace('\0', "\n")
}

/// Declares a database.
fn with_database(project: &Project) {
    let database = r#"{ "name": "DATABASE_URL", "help": "The database", "kind": "url", "required": true, "secret": true,
        "supplied_by": "postgres" },"#;
    project.edit("settings.json", "\"settings\": [", &format!("\"settings\": [\n{database}"));
}

/// The process of the project's PostgreSQL.
fn postmaster(project: &Project) -> String {
    let about = fs_err::read_to_string(project.deployed("postgres/data/postmaster.pid")).unwrap();
    about.lines().next().unwrap().to_owned()
}

#[test]
fn secrets_of_the_callers_environment_reach_no_program() {
    let project = Project::of("fixture", |project| {
        with_database(project);
        let script = "fn main() {\n    let all: Vec<_> = std::env::vars().collect();\n    \
                      std::fs::write(\"target/build.environment\", format!(\"{all:#?}\")).unwrap();\n}\n";
        project.write("build.rs", script);
    });
    let spies = tempfile::tempdir().unwrap();
    let programs = ["git", "cargo"];
    for program in programs {
        spy(spies.path(), program);
    }
    let mut deploy = project.command(&["deploy"]);
    for name in POISONED {
        deploy.env(name, format!("{POISON} of {name}"));
    }
    deploy.env("SERVICE_URL", format!("amqp://shop:{POISON}@host")).env("OPENSSL_DIR", "/opt/kept");
    // So that cargo is the one on the PATH.
    deploy.env_remove("CARGO");
    let path = std::env::var("PATH").unwrap();
    let ran = Ran::of(deploy.env("PATH", format!("{}:{path}", spies.path().display()))).expect(0);
    assert!(!ran.stderr.contains(POISON), "{}", ran.stderr);

    let mut seen: Vec<(String, String)> = Vec::new();
    for program in programs {
        let dump = fs_err::read_to_string(spies.path().join(format!("{program}.environment")));
        seen.push((program.to_owned(), dump.unwrap_or_else(|error| panic!("{program} was not run: {error}"))));
    }
    let build = project.read("target/build.environment");
    assert!(build.contains("/opt/kept"), "a build script gets what only its package knows: {build}");
    seen.push(("the build script".to_owned(), build));
    let supervisor = of_process(&project.supervisor().to_string());
    let names: Vec<&str> = supervisor.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| ["PATH", "HOME", "TMPDIR", "LANG"].contains(name)), "{names:?}");
    seen.push(("the supervisor".to_owned(), supervisor));
    let service = of_process(&project.services()[0].pid.to_string());
    assert!(service.contains("DATABASE_URL=postgres://"), "{service}");
    seen.push(("the service".to_owned(), service));
    seen.push(("PostgreSQL".to_owned(), of_process(&postmaster(&project))));
    for (program, environment) in seen {
        let poisoned: Vec<&str> = environment.lines().filter(|line| line.contains(POISON)).collect();
        assert!(poisoned.is_empty() && !environment.is_empty(), "{program} got {poisoned:?}");
    }
}

/// The limit of the size of core files of every process of an environment, soft and hard, and its process.
fn core_limits(project: &Project) -> Vec<(String, String)> {
    let mut processes: Vec<String> = project.processes().iter().map(|process| process.pid.to_string()).collect();
    processes.push(postmaster(project));
    let of = |process: String| {
        let limits = fs_err::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        (line.split_whitespace().take(2).collect::<Vec<_>>().join(" "), process)
    };
    processes.into_iter().map(of).collect()
}

/// A caller may hold a lock on one (`flock file cargo xtask deploy`), or read it as root.
#[test]
fn files_that_the_caller_has_open_are_passed_to_no_program_and_none_leaves_a_core_file() {
    let project = Project::of("fixture", with_database);
    let path = project.root.join("deploy.yaml");
    let held = fs_err::File::open(&path).unwrap();
    rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::empty()).unwrap();
    let mut deploy = std::process::Command::new("sh");
    deploy.args(["-c", "ulimit -c unlimited; exec \"$0\" deploy"]).arg(&project.toolkit).current_dir(&project.root);
    Ran::of(&mut deploy).expect(0);
    for (limit, process) in core_limits(&project) {
        assert!(["0 0", "1 1"].contains(&limit.as_str()), "the process {process} may leave {limit} bytes");
    }
    let mut processes: Vec<String> = project.processes().iter().map(|process| process.pid.to_string()).collect();
    processes.push(postmaster(&project));
    assert!(processes.len() >= 3, "{processes:?}");
    for process in processes {
        // Helpers of PostgreSQL come and go.
        for entry in fs_err::read_dir(format!("/proc/{process}/fd")).into_iter().flatten() {
            let open = fs_err::read_link(entry.unwrap().path()).unwrap_or_default();
            assert_ne!(open, path, "the process {process} has it open");
        }
    }
}
