//! What these tests build: tiny images out of this machine's own programs, so that no base image is needed.

use std::collections::BTreeMap;
use std::process::Command;

use super::super::*;

/// Debian's programs that a step may use; the shell has `echo` and more built in.
const PROGRAMS: &[&str] = &["sh", "cat", "sleep", "date", "head", "rm"];

/// Where the files are from, by the provenance.
pub const SOURCE: &str = "https://git.example.org/shop.git";
pub const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// All that a request borrows.
pub struct Scratch {
    pub args: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, SecretString>,
    pub auth: Auth,
    pub no_cache: bool,
    pub cache: Option<(String, bool)>,
    pub scanner: Option<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Scratch {
    /// Steps on top of a few programs in a first layer; `unique` makes every step but the first of this test alone.
    pub fn new(steps: &str) -> Self {
        let dockerfile = format!("FROM scratch AS base\nCOPY base/ /\nENV PATH=/bin\n{steps}\n");
        let scratch = Self {
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            auth: Auth::new(),
            no_cache: false,
            cache: None,
            scanner: None,
            files: Vec::new(),
        };
        scratch.file("Dockerfile", dockerfile)
    }

    /// One more file in the context.
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    /// The request, with a new context each time.
    pub fn request(&self) -> Request<'_> {
        Request {
            context: Box::pin(std::io::Cursor::new(self.tar())),
            dockerfile: "Dockerfile",
            args: &self.args,
            labels: &self.labels,
            secrets: &self.secrets,
            platform: "linux/amd64",
            cache: match &self.cache {
                Some((reference, write)) => Cache { from: Some(reference), to: write.then_some(reference) },
                None => Cache::default(),
            },
            created: Timestamp::from_second(1_700_000_000).unwrap(),
            auth: &self.auth,
            no_cache: self.no_cache,
            attest: Attest { source: Some(SOURCE), revision: Some(REVISION), scanner: self.scanner.as_deref() },
        }
    }

    fn tar(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, content: &[u8], mode: u32| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(mode);
            header.set_mtime(1_600_000_000);
            tar.append_data(&mut header, path, content).unwrap();
        };
        for (path, content) in &self.files {
            add(path, content, 0o644);
        }
        for (path, content) in programs() {
            add(&format!("base{path}"), &content, 0o755);
        }
        tar.into_inner().unwrap()
    }
}

/// The programs as `/bin/<name>`, and the libraries that `ldd` names.
fn programs() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in PROGRAMS {
        let path = format!("/bin/{name}");
        let output = Command::new("ldd").arg(&path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
            files.insert(library.to_owned(), fs_err::read(library).unwrap());
        }
        files.insert(path.clone(), fs_err::read(path).unwrap());
    }
    files
}

/// What a test saw of a build.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub started: Vec<String>,
    pub cached: Vec<String>,
    pub done: Vec<String>,
    pub failed: Vec<String>,
    pub lines: Vec<String>,
}

impl Seen {
    pub fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Started(step) => self.started.push(step.name.clone()),
            Event::Cached(step) => self.cached.push(step.name.clone()),
            Event::Done(step, _) => self.done.push(step.name.clone()),
            Event::Failed(step, _) => self.failed.push(step.name.clone()),
            Event::Log(_, line) => self.lines.push(line.to_owned()),
            Event::Progress(..) => {}
        }
    }

    /// Whether a list has a step whose name contains this.
    pub fn has(list: &[String], part: &str) -> bool {
        list.iter().any(|name| name.contains(part))
    }
}

/// Builds, with what was seen.
pub async fn build(builder: &Builder, scratch: &Scratch, output: Output<'_>) -> (Result<Built, BuildError>, Seen) {
    let mut seen = Seen::default();
    let built = builder.build(scratch.request(), output, |event| seen.take(event)).await;
    (built, seen)
}

/// A word that no other run of any test uses.
pub fn unique() -> String {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).unwrap();
    hex::encode(bytes)
}

/// The machine's engine. `None`, which is said, if none answers.
pub async fn engine() -> Option<Engine> {
    match Engine::connect(std::env::var("DOCKER_HOST").ok().as_deref()).await {
        Ok(engine) => Some(engine),
        Err(error) => {
            testkit::skipped(&testkit::test_name(), &format!("no Docker engine answers: {error}"));
            None
        }
    }
}

/// An image's name in the engine, which goes with the test.
pub struct Name {
    pub engine: Engine,
    pub name: String,
}

impl Name {
    pub fn new(engine: &Engine, prefix: &str) -> Self {
        Self { engine: engine.clone(), name: format!("{prefix}xtask-test-{}:one", unique()) }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let Address::Unix(socket) = self.engine.address().clone() else { return };
        let host = format!("unix://{socket}");
        Command::new("docker").args(["--host", &host, "rmi", "--force", &self.name]).output().ok();
    }
}

pub use crate::clients::docker::Engine;
use crate::clients::docker::socket::Address;
