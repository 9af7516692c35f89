//! Programs that tell when they are run, and a project in which everything that could run one is armed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Project, Ran};

/// Programs that leave a mark when something of the tree makes git, cargo or the toolkit run them, and programs that come first on
/// the `PATH` and note who ran them.
pub struct Traps {
    folder: tempfile::TempDir,
}

impl Traps {
    pub fn new() -> Self {
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

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trap(&self) -> String {
        self.at("trap").display().to_string()
    }

    /// Runs a command of the toolkit in a folder, with homes of its own.
    pub fn run(&self, project: &Project, folder: &Path, args: &[&str]) -> Ran {
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
    pub fn caught_nothing(&self, args: &[&str]) {
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
pub fn hostile(traps: &Traps) -> Project {
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
