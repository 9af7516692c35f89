//! The stand-in provider: a cloud of a test's own, in a folder.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::common::TOOLKIT;

/// Ends with this value.
pub struct Cloud {
    process: Child,
    folder: tempfile::TempDir,
    real: Vec<(String, String)>,
    /// For `TF_REATTACH_PROVIDERS`.
    pub addresses: String,
}

impl Cloud {
    /// With all providers, and nothing that exists.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// One that makes more than files of what these variables name.
    pub fn with(real: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let real: Vec<_> = real.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (process, addresses) = serve(folder.path(), &real);
        Self { process, folder, real, addresses }
    }

    /// Another process, at another address, on what the one before has left.
    pub fn again(&mut self) {
        self.end();
        (self.process, self.addresses) = serve(self.folder.path(), &self.real);
    }

    /// What there is of a type: its file and what it holds.
    pub fn kept(&self, kind: &str) -> Vec<(PathBuf, Value)> {
        let Ok(entries) = fs_err::read_dir(self.folder().join(kind)) else { return Vec::new() };
        let files = entries.map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap())).collect()
    }

    /// The only one of a type.
    pub fn only(&self, kind: &str) -> (PathBuf, Value) {
        let mut kept = self.kept(kind);
        assert_eq!(kept.len(), 1, "{kind}: {kept:#?}");
        kept.remove(0)
    }

    /// How many there are of all types.
    pub fn count(&self) -> usize {
        let kinds = fs_err::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        let kinds = kinds.filter(|entry| entry.path().is_dir());
        kinds.map(|entry| self.kept(entry.file_name().to_str().unwrap()).len()).sum()
    }

    /// Asks for things to go wrong.
    pub fn faults(&self, entries: &Value) {
        fs_err::write(self.folder().join("faults.json"), entries.to_string()).unwrap();
    }

    /// Where all of it is kept.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("cloud")
    }

    fn end(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process on what the folder holds, and its addresses.
fn serve(folder: &Path, real: &[(String, String)]) -> (Child, String) {
    let mut command = Command::new(program());
    for provider in ["scaleway", "aws", "cloudflare"] {
        command.arg("--schema").arg(data(&format!("{provider}.json")));
        command.arg("--rules").arg(data(&format!("{provider}.standin.json")));
    }
    command.arg("--rules").arg(data("scaleway.rules.json")).arg("--state").arg(folder.join("cloud"));
    command.envs(real.iter().map(|(name, value)| (name, value)));
    // It ends when nobody holds the other end any more.
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut addresses = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut addresses).unwrap();
    assert!(addresses.starts_with('{'), "the stand-in does not say where it is: {addresses:?}");
    (process, addresses)
}

/// The stand-in's program, as its sources are now: `cargo test` of another crate does not build it.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(TOOLKIT).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "standin", "--target-dir"]).arg(folder.parent().unwrap());
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(status.success(), "the stand-in does not build: {status}");
        folder.join("standin")
    })
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("standin/schemas").join(name)
}
