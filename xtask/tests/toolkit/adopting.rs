//! docs/ADOPTING.md: its quickstart and its example in Go as they stand, by an installed program, with services that have no Rust. Its
//! example with axum is compiled with these tests.

#[path = "../examples/axum.rs"]
#[allow(dead_code)]
mod axum_example;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::load::Load;
use testkit::{Ran, client, machine, skipped, toolkit, until};

/// The document.
fn text() -> String {
    fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ADOPTING.md")).unwrap()
}

/// The first block in this language behind a text.
fn block<'t>(text: &'t str, behind: &str, language: &str) -> &'t str {
    let (_, rest) = text.split_once(behind).unwrap_or_else(|| panic!("docs/ADOPTING.md has no {behind:?}"));
    let (_, rest) = rest.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// The line before the block of commands.
const QUICKSTART: &str = "<!-- quickstart -->\n```sh\n";

/// A folder of its own, where the block is run.
struct Reader {
    folder: TempDir,
    port: u16,
}

impl Reader {
    fn new() -> Self {
        // Root's deploy has users of its own, which pass the folder.
        let open = std::fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().prefix("xtask-test-").permissions(open).tempdir().unwrap();
        fs_err::create_dir(folder.path().join("bin")).unwrap();
        fs_err::copy(toolkit(), folder.path().join("bin/cutover")).unwrap();
        Self { folder, port: devservers::port::free() }
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("greeter")
    }

    /// A program with the installed toolkit on its `PATH`, and a name for git's commits.
    fn command(&self, program: &str, folder: &Path) -> Command {
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        testkit::git::without_git_variables(&mut command);
        command.current_dir(folder).env("PATH", path).env_remove("CI").env_remove("GITHUB_ACTIONS");
        for (name, value) in [("NAME", "Ada"), ("EMAIL", "ada@example.org")] {
            command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command("cutover", &self.project()).args(args))
    }

    fn get(&self) -> String {
        client::get(self.port, "/").unwrap().text()
    }

    /// Commits a server with another text in it.
    fn commit(&self, from: &str, to: &str) {
        let server = self.project().join("server.js");
        let text = fs_err::read_to_string(&server).unwrap();
        assert!(text.contains(from), "{text}");
        fs_err::write(server, text.replace(from, to)).unwrap();
        Ran::of(self.command("git", &self.project()).args(["commit", "--quiet", "--all", "--message", to])).expect(0);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.command("cutover", &self.project()).arg("stop").output());
        for process in machine::processes_below(self.folder.path()) {
            machine::signal(process.pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn the_quickstart_deploys_under_load_breaks_goes_back_and_stops() {
    if Command::new("node").arg("--version").output().is_err() {
        return skipped("the_quickstart", "there is no node on the PATH");
    }
    let text = text();
    let (_, rest) = text.split_once(QUICKSTART).expect("docs/ADOPTING.md has a quickstart");
    let (block, _) = rest.split_once("\n```").unwrap();
    let yaml = block.split_once("<<'YAML'\n").and_then(|(_, rest)| rest.split_once("\nYAML")).unwrap().0;
    assert!(yaml.lines().count() <= 15, "{yaml}");

    let reader = Reader::new();
    let block = block.replace("3000", &reader.port.to_string());
    let said = Ran::of(reader.command("sh", reader.folder.path()).args(["-e", "-c", &block])).expect(0);
    assert!(said.stdout.ends_with("hello\n"), "{}", said.stdout);
    said.says(&["is ready", &format!("http://localhost:{}", reader.port)]);

    let load = Load::start(reader.port, 4);
    let more = || {
        let before = load.answered();
        until("the clients have asked more", || load.answered() > before + 100);
    };
    more();
    reader.commit("hello", "good day");
    reader.run(&["deploy"]).expect(0);
    assert_eq!(reader.get(), "good day\n");
    more();
    reader.commit("const http", "throw new Error('broken'); const http");
    reader.run(&["deploy"]).expect(30).says(&["Error: broken", "cutover"]);
    assert_eq!(reader.get(), "good day\n");
    more();
    reader.run(&["rollback"]).expect(0);
    assert_eq!(reader.get(), "hello\n");
    more();
    let failures = load.end();
    assert!(failures.is_empty(), "{} failed, such as {}", failures.len(), failures[0]);
    reader.run(&["stop"]).expect(0);
    until("every process has ended", || machine::processes_below(reader.folder.path()).is_empty());
}

#[test]
fn the_example_in_go_is_built_and_deployed_and_the_one_with_axum_compiles() {
    let text = text();
    assert_eq!(block(&text, "with axum:", "rust"), include_str!("../examples/axum.rs"));
    // Compiled in a thorough run, with the service that it is beside.
    assert_eq!(block(&text, "with actix-web:", "rust"), include_str!("../stock/src/bin/port.rs"));
    if Command::new("go").arg("version").output().is_err() {
        return skipped("the_example_in_go", "there is no go on the PATH");
    }
    let reader = Reader::new();
    let root = reader.project();
    fs_err::create_dir(&root).unwrap();
    let write = |name: &str, text: &str| fs_err::write(root.join(name), text).unwrap();
    write("main.go", block(&text, "Go:", "go"));
    write("go.mod", "module greeter\n\ngo 1.21\n");
    write(".gitignore", "/.deploy\n/bin/server\n");
    let service = block(&text, "net/http", "yaml");
    let environments = format!("environments:\n  local: {{ target: local, port: {} }}\n", reader.port);
    write("deploy.yaml", &format!("project: greeter\n{service}{environments}"));
    for args in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message", "A greeter"]] {
        Ran::of(reader.command("git", &root).args(args)).expect(0);
    }
    reader.run(&["deploy"]).expect(0).says(&["is ready"]);
    assert_eq!(client::get(reader.port, "/health").unwrap().text(), "ok");
    reader.run(&["stop"]).expect(0);
    until("every process has ended", || machine::processes_below(reader.folder.path()).is_empty());
}
