//! A tree that others wrote. A command that only looks runs nothing of it, shows nothing that it links to, and writes nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err::os::unix::fs::symlink;

use testkit::{Project, Ran};

use crate::dry_run::{differences, snapshot};

/// What is in the files that the tree has links to.
const SENTINEL: &str = "sentinel-9b1c7e";

/// Programs that leave a mark when something of the tree makes git, cargo or the toolkit run them, and programs that come first on
/// the `PATH` and note who ran them.
struct Traps {
    folder: tempfile::TempDir,
}

impl Traps {
    fn new() -> Self {
        let traps = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["home", "tmp", "bin", "toolchain/bin"] {
            fs_err::create_dir_all(traps.at(folder)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        for name in [
            "apt-get",
            "bash",
            "cargo",
            "cc",
            "docker",
            "env",
            "git-lfs",
            "gpg",
            "id",
            "initdb",
            "less",
            "make",
            "node",
            "npm",
            "npx",
            "pg_ctl",
            "postgres",
            "ps",
            "rustc",
            "rustup",
            "sh",
            "ssh",
            "sudo",
            "terraform",
            "tofu",
            "vi",
        ] {
            let noted = traps.at("noted").display().to_string();
            let script = format!("#!/bin/sh\necho \"$PWD: {name} $*\" >> {noted}\nPATH='{path}'\nexec {name} \"$@\"\n");
            program(&traps.at("bin").join(name), &script);
        }
        program(&traps.at("trap"), &format!("#!/bin/sh\necho \"$0 $*\" >> {}\ncat\n", traps.at("marks").display()));
        for name in ["cargo", "rustc"] {
            fs_err::copy(traps.at("trap"), traps.at("toolchain/bin").join(name)).unwrap();
        }
        traps
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trap(&self) -> String {
        self.at("trap").display().to_string()
    }

    /// Runs a command of the toolkit in a folder, with homes of its own.
    fn run(&self, project: &Project, folder: &Path, args: &[&str]) -> Ran {
        let mut command = project.command(args);
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        let or = |name: &str, default: &str| std::env::var_os(name).unwrap_or_else(|| home.join(default).into());
        command
            .current_dir(folder)
            .env_remove("CARGO")
            .env("CARGO_HOME", or("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", or("RUSTUP_HOME", ".rustup"))
            .env("HOME", self.at("home"))
            .env("XDG_CACHE_HOME", self.at("home/.cache"))
            .env("TMPDIR", self.at("tmp"))
            .env("PATH", format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap()))
            .env("DOCKER_HOST", "unix:///no/such/socket")
            .env("AWS_ACCESS_KEY_ID", "AK")
            .env("AWS_SECRET_ACCESS_KEY", "not a key");
        Ran::of(&mut command)
    }

    /// Nothing of the tree ran, and nothing else than what a look may run.
    #[track_caller]
    fn caught_nothing(&self, args: &[&str]) {
        let text = |name: &str| fs_err::read_to_string(self.at(name)).unwrap_or_default();
        assert_eq!(text("marks"), "", "{args:?}");
        let noted = text("noted");
        // `id` knows nothing of a project. What is asked for its version is asked outside of the project.
        let asks = |line: &str| line.ends_with(" --version") || line.ends_with(" version -json");
        let may_run = |line: &str| line.contains(": id ") || (line.starts_with("/: ") && asks(line));
        let odd: Vec<&str> = noted.lines().filter(|line| !may_run(line)).collect();
        assert!(odd.is_empty(), "{args:?} ran {odd:#?}");
    }
}

fn program(path: &Path, script: &str) {
    fs_err::write(path, script).unwrap();
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Sets everything in a repository's configuration that makes git run a program, and puts a program into each hook.
fn arm(repository: &Path, git_folder: &Path, traps: &Traps) {
    let trap = traps.trap();
    let included = git_folder.join("included");
    fs_err::write(&included, format!("[core]\n\tfsmonitor = {trap}\n[filter \"inc\"]\n\tclean = {trap}\n")).unwrap();
    let included = included.display().to_string();
    let settings = [
        ("core.fsmonitor", trap.as_str()),
        ("core.editor", &trap),
        ("core.pager", &trap),
        ("core.sshCommand", &trap),
        ("core.askPass", &trap),
        ("core.gitProxy", &trap),
        ("core.alternateRefsCommand", &trap),
        ("credential.helper", &trap),
        ("diff.external", &trap),
        ("diff.evil.textconv", &trap),
        ("diff.evil.command", &trap),
        ("filter.evil.clean", &trap),
        ("filter.evil.smudge", &trap),
        ("filter.evil.required", "true"),
        ("filter.long.process", &trap),
        ("merge.evil.driver", &trap),
        ("gpg.program", &trap),
        ("log.showSignature", "true"),
        ("alias.status", "!touch /no/such"),
        ("submodule.sub.update", "!false"),
        ("status.submoduleSummary", "true"),
        ("pager.status", &trap),
        ("protocol.allow", "always"),
        ("protocol.ext.allow", "always"),
        ("remote.origin.url", "ext::/bin/sh -c true"),
        ("remote.origin.uploadpack", &trap),
        ("remote.origin.promisor", "true"),
        ("include.path", &included),
    ];
    for (key, value) in settings {
        let set = Command::new("git").arg("--git-dir").arg(git_folder).args(["config", key, value]).status().unwrap();
        assert!(set.success(), "{key}");
    }
    for hook in ["post-index-change", "post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"] {
        fs_err::create_dir_all(git_folder.join("hooks")).unwrap();
        fs_err::copy(traps.at("trap"), git_folder.join("hooks").join(hook)).unwrap();
    }
    // Their times differ from those of the index, so git has to read them again.
    for name in ["a.txt", "b.bin", "c.inc"] {
        fs_err::write(repository.join(name), "other").unwrap();
    }
}

/// The fixture, deployed and stopped, with ten thousand files, in which everything that can be armed is.
fn hostile(traps: &Traps) -> Project {
    let attributes = "*.txt filter=evil diff=evil\n*.bin filter=long\n*.inc filter=inc\n";
    let project = Project::of("fixture", |project| {
        for number in 0..10_000 {
            project.write(&format!("many/{}/{number}", number / 500), "");
        }
        project.write(".gitattributes", attributes);
        for name in ["a.txt", "b.bin", "c.inc", "Dockerfile", "infra/main.tf"] {
            project.write(name, "these");
        }
        // No server is at its addresses.
        let state = "{ bucket: states, region: eu, provider: other, endpoint: 'http://127.0.0.1:1' }";
        let production = format!(
            "\n  production: {{ target: scaleway, registry: '127.0.0.1:1/shop', stack: infra, state: {state} }}\nimage: {{}}\n"
        );
        project.write("deploy.yaml", &(project.read("deploy.yaml") + &production));
    });
    project.ok(&["deploy"]);
    project.ok(&["stop"]);
    let root = &project.root;

    // A bare repository among the tree's files, and an ordinary one that is no submodule.
    let git = |args: &[&str]| assert!(Command::new("git").args(args).current_dir(root).status().unwrap().success());
    git(&["init", "--quiet", "--bare", "bare"]);
    git(&["init", "--quiet", "inner"]);
    for name in ["a.txt", "b.bin", "c.inc", ".gitattributes"] {
        project.write(&format!("inner/{name}"), if name.starts_with('.') { attributes } else { "these" });
    }
    project.write("bare/deploy.yaml", &project.read("deploy.yaml"));
    project.write("bare/settings.json", &project.read("settings.json"));
    let who = ["-C", "inner", "-c", "user.name=T", "-c", "user.email=t@example.org"];
    git(&["-C", "inner", "add", "."]);
    git(&[&who[..], &["commit", "--quiet", "--message", "Inner"]].concat());

    project.write("odd \u{1b}[2J\u{202e}\n.txt", "x");
    project.git(&["commit", "--quiet", "--allow-empty", "--message", "Subject \u{1b}]0;title\u{7}\u{202e}"]);
    let toolchain = traps.at("toolchain").display().to_string();
    project.write("rust-toolchain.toml", &format!("[toolchain]\npath = \"{toolchain}\"\n"));
    project.write(".cargo/config.toml", &format!("[build]\nrustc = \"{0}\"\nrustc-wrapper = \"{0}\"\n", traps.trap()));
    arm(root, &root.join(".git"), traps);
    arm(&root.join("inner"), &root.join("inner/.git"), traps);
    arm(&root.join("bare"), &root.join("bare"), traps);
    project
}

#[test]
fn a_look_at_a_hostile_tree_runs_nothing_of_it_and_writes_nothing() {
    let traps = Traps::new();
    let project = hostile(&traps);
    let local: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["completions", "bash"],
        &["doctor"],
        &["status"],
        &["history"],
        &["logs"],
        &["lock", "status"],
        &["deploy", "--dry-run"],
        &["rollback", "--dry-run"],
        &["render", "--check"],
    ];
    let remote: &[&[&str]] = &[
        &["doctor", "production"],
        &["history", "production"],
        &["image", "list", "production"],
        &["image", "inspect", "production"],
        &["image", "prune", "production", "--dry-run"],
        &["bootstrap", "state", "production", "--check"],
    ];
    let (root, bare) = (&project.root, &project.root.join("bare"));
    let remote = if cfg!(feature = "cloud") { remote } else { &[] };
    let before = [snapshot(root), snapshot(&traps.at("home")), snapshot(&traps.at("tmp"))].concat();
    let look = |folder: &Path, args: &[&str]| {
        let ran = traps.run(&project, folder, args);
        assert!(matches!(ran.code, Some(0 | 1 | 2 | 10 | 21 | 31)), "{args:?}: {ran:?}");
        let deceives = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains(deceives), "{args:?}: {text:?}");
        }
        traps.caught_nothing(args);
    };
    for args in local {
        look(root, args);
        look(bare, args);
    }
    // At once, because each tries again and again to reach a server.
    std::thread::scope(|scope| remote.iter().for_each(|args| drop(scope.spawn(|| look(root, args)))));
    let after = [snapshot(root), snapshot(&traps.at("home")), snapshot(&traps.at("tmp"))].concat();
    assert_eq!(differences(&before, &after), Vec::<String>::new());
    // The traps work: git itself springs one.
    let status = Command::new("git")
        .arg("status")
        .current_dir(&project.root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap();
    assert!(traps.at("marks").exists());
}

/// Replaces a path of the project by a link.
fn link(project: &Project, path: &str, target: &str) {
    let path = project.root.join(path);
    if path.is_dir() {
        fs_err::remove_dir_all(&path).unwrap();
    } else {
        fs_err::remove_file(&path).ok();
    }
    symlink(target, path).unwrap();
}

#[test]
fn a_link_of_the_tree_shows_no_file_outside_and_no_secret() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    // In the forms that the readers of these files repeat in their errors.
    fs_err::write(&secret, format!("{{\"{SENTINEL}\": \"{SENTINEL}\"}}\n")).unwrap();
    fs_err::write(outside.path().join("0009_x.sql"), SENTINEL).unwrap();
    let (secret, folder) = (secret.to_str().unwrap(), outside.path().to_str().unwrap());
    for (path, target, says) in [
        (".env.example", secret, "outside of the project"),
        (".env.example", ".env.production", "may hold secrets"),
        (".env.example", "notes.json", "is a link"),
        ("templates/env.example.j2", secret, "outside of the project"),
        ("templates/env.example.j2", "../.env.production", "may hold secrets"),
        ("templates", folder, "outside of the project"),
        ("settings.json", secret, "outside of the project"),
        ("settings.json", ".env.production", "may hold secrets"),
        ("deploy.yaml", secret, "outside of the project"),
        ("migrations", folder, "outside of the project"),
        ("migrations", ".deploy", "may hold secrets"),
        ("migrations/0001_notes.sql", secret, "outside of the project"),
        ("migrations/0001_notes.sql", "/dev/zero", "outside of the project"),
        ("Cargo.lock", secret, "outside of the project"),
        ("Cargo.lock", "/dev/zero", "outside of the project"),
    ] {
        let project = Project::fixture();
        project.write(".env.production", &format!("{{\"{SENTINEL}\": \"{SENTINEL}\"}}\n"));
        project.write("notes.json", &format!("{{\"{SENTINEL}\": \"{SENTINEL}\"}}\n"));
        project.write(".deploy/0001.sql", SENTINEL);
        if path == "templates" {
            fs_err::write(outside.path().join("env.example.j2"), SENTINEL).unwrap();
        }
        link(&project, path, target);
        let mut said = String::new();
        for args in [&["render", "--check"][..], &["doctor"], &["deploy", "--dry-run"]] {
            let ran = project.run(args);
            assert!(!ran.stdout.contains(SENTINEL) && !ran.stderr.contains(SENTINEL), "{path} → {target}: {ran:?}");
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
        }
        assert!(said.contains(says), "{path} → {target}:\n{said}");
    }
}

#[test]
fn a_log_that_the_tree_brings_is_not_shown() {
    let project = Project::fixture();
    let secret = project.root.with_file_name("secret");
    fs_err::write(&secret, SENTINEL).unwrap();
    for (place, target) in [("service.log", "../../../../secret"), ("", "../..")] {
        fs_err::remove_dir_all(project.root.join(".deploy")).ok();
        fs_err::create_dir_all(project.root.join(".deploy/local")).unwrap();
        if place.is_empty() {
            fs_err::copy(&secret, project.root.join("service.log")).unwrap();
            symlink(target, project.root.join(".deploy/local/logs")).unwrap();
        } else {
            fs_err::create_dir_all(project.root.join(".deploy/local/logs")).unwrap();
            symlink(target, project.root.join(".deploy/local/logs").join(place)).unwrap();
        }
        let ran = project.run(&["logs"]).expect(1).says(&["outside of the project"]);
        assert!(!ran.stdout.contains(SENTINEL), "{ran:?}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused() {
    for path in ["settings.json", "Cargo.lock", "migrations/0001_notes.sql", ".env.example", "templates/env.example.j2"]
    {
        let project = Project::fixture();
        let place = project.root.join(path);
        fs_err::remove_file(&place).ok();
        rustix::fs::mkfifoat(rustix::fs::CWD, &place, rustix::fs::Mode::RWXU).unwrap();
        let mut said = String::new();
        for args in [&["render", "--check"][..], &["doctor"], &["deploy", "--dry-run"]] {
            let ran = project.run(args);
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
        }
        let told = ["is not a file", "found a special file", "is no file, link or folder"];
        assert!(told.iter().any(|told| said.contains(told)), "{path}:\n{said}");
    }
}

#[test]
fn deep_and_aliased_yaml_is_refused() {
    let project = Project::fixture();
    for yaml in [
        format!("a: {}", "[".repeat(100_000)),
        format!("a: {}", "{a: ".repeat(60_000)),
        // Brackets whose ends are in comments.
        format!("a: {}", "[ #]\n".repeat(40_000)),
        format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 40_000].join(",")),
        "- ".repeat(100_000),
    ] {
        project.write("deploy.yaml", &yaml);
        project.run(&["doctor"]).expect(2).says(&["deploy.yaml"]);
    }
}
