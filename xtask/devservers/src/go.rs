//! Programs that Debian has no package of: built from their Go modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, path};

/// A program of a Go module.
pub struct Program {
    pub name: &'static str,
    pub module: &'static str,
    /// With its `v`.
    pub version: &'static str,
    /// The module's hash in Go's checksum database. It covers the module's `go.sum`, which pins the dependencies.
    pub sum: &'static str,
    /// The program's package, relative to the module's folder: `./cmd/name`.
    pub package: &'static str,
    /// Flags for the linker, beside those that leave debug information out.
    pub flags: &'static str,
}

impl Program {
    /// The path of the program in the cache. Builds it if it is not there yet, which takes minutes.
    pub fn build(&self) -> Result<PathBuf> {
        let Self { name, version, .. } = self;
        cache::once(&format!("{name}-{version}"), |folder| {
            self.build_in(folder).with_context(|| format!("build {name} {version} from its Go module"))
        })
    }

    fn build_in(&self, folder: &Path) -> Result<PathBuf> {
        let Self { name, module, version, sum, package, flags } = self;
        let go = path::need(name, "go", "see https://go.dev/doc/install")?;
        let run = |dir: &Path, args: &[&str]| {
            let mut command = Command::new(&go);
            command.args(args).env("CGO_ENABLED", "0").env("GOWORK", "off").current_dir(dir);
            let output = command.output()?;
            ensure!(output.status.success(), "go {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
            Ok(output.stdout)
        };
        let said = run(folder, &["mod", "download", "-json", &format!("{module}@{version}")])?;
        let said: serde_json::Value = serde_json::from_slice(&said).context("read what Go says of the module")?;
        let field = |name: &str| said[name].as_str().with_context(|| format!("Go names no {name} of the module"));
        ensure!(field("Sum")? == *sum, "the module has the hash {}, and {sum} is pinned", field("Sum")?);
        let (program, flags) = (folder.join("program"), format!("-s -w {flags}"));
        let out = program.to_str().context("the cache's path is not UTF-8")?;
        // In the module's own folder, whose `go.mod` and `go.sum` choose and pin the dependencies.
        let build = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", &flags, "-o", out, package];
        run(Path::new(field("Dir")?), &build)?;
        Ok(program)
    }
}
