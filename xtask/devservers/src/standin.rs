//! The stand-in provider: OpenTofu makes resources of four providers with it, which are files in a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::server::{Ready, Server};

/// The providers that it stands in for.
pub const PROVIDERS: [&str; 4] = ["scaleway", "aws", "cloudflare", "supabase"];

/// A stand-in and the resources that it has made. It ends, and they go, when this value is dropped.
pub struct Cloud {
    server: Server,
    folder: tempfile::TempDir,
}

/// Compiles the stand-in into this target folder, unless `cargo xtask test` has compiled it and says where: its path.
pub fn build(target: &Path) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("CARGO_BIN_EXE_standin") {
        return Ok(program.into());
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "standin", "--target-dir"]).arg(target);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().context("run cargo")?;
    ensure!(output.status.success(), "compile the stand-in: {}", String::from_utf8_lossy(&output.stderr));
    Ok(target.join("debug/standin"))
}

/// A file of the stand-in's schemas and rules.
pub fn schema(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../standin/schemas").join(name)
}

impl Cloud {
    /// Starts this program with all providers and no resources. `machine` are the variables that give it servers of this
    /// machine, where containers, buckets or zones are to be more than files.
    pub fn start(program: &Path, machine: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the stand-in")?;
        let mut command = Command::new(program);
        for provider in PROVIDERS {
            command.arg("--schema").arg(schema(&format!("{provider}.json")));
            command.arg("--rules").arg(schema(&format!("{provider}.standin.json")));
        }
        command.arg("--rules").arg(schema("scaleway.rules.json"));
        command.arg("--state").arg(folder.path().join("cloud"));
        command.envs(machine.iter().copied());
        let addresses = |line: &str| line.starts_with('{').then(|| line.to_owned());
        Ok(Self { server: Server::start(command, Ready::Line(addresses))?, folder })
    }

    /// The addresses of its providers, for `TF_REATTACH_PROVIDERS`.
    pub fn addresses(&self) -> String {
        self.server.said()
    }

    /// Kills it and starts it again, at other addresses, with the resources that it had.
    pub fn restart(&mut self) {
        self.server.restart().unwrap();
    }

    /// Its process, for tests of how it ends.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The resources of a type: the file and the values of each.
    pub fn kept(&self, kind: &str) -> Vec<(PathBuf, Value)> {
        let Ok(entries) = fs_err::read_dir(self.folder().join(kind)) else { return Vec::new() };
        let files = entries.map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap())).collect()
    }

    /// The only resource of a type.
    pub fn only(&self, kind: &str) -> (PathBuf, Value) {
        let mut kept = self.kept(kind);
        assert_eq!(kept.len(), 1, "{kind}: {kept:#?}");
        kept.remove(0)
    }

    /// The number of resources of all types.
    pub fn count(&self) -> usize {
        let kinds = fs_err::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        let kinds = kinds.filter(|entry| entry.path().is_dir());
        kinds.map(|entry| self.kept(entry.file_name().to_str().unwrap()).len()).sum()
    }

    /// Makes calls fail, as `faults.json` describes it.
    pub fn faults(&self, entries: &Value) {
        fs_err::write(self.folder().join("faults.json"), entries.to_string()).unwrap();
    }

    /// The folder of the resources.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("cloud")
    }
}
