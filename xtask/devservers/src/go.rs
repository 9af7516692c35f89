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
    /// The program's package in the module.
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
        let Self { name, module, version, package, flags } = self;
        let go = path::need(name, "go", "see https://go.dev/doc/install")?;
        // As the tool of a module: its dependencies get the versions that its own module asks for.
        let text = format!("module tools\n\ngo 1.23.0\n\nrequire {module} {version}\n\ntool {package}\n");
        fs_err::write(folder.join("go.mod"), text)?;
        let run = |args: &[&str]| {
            let output = Command::new(&go).args(args).env("CGO_ENABLED", "0").current_dir(folder).output()?;
            ensure!(output.status.success(), "go {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        run(&["mod", "tidy"])?;
        run(&["build", "-mod=mod", "-trimpath", "-ldflags", &format!("-s -w {flags}"), "-o", "program", package])?;
        Ok(folder.join("program"))
    }
}
