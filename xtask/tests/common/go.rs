//! Programs for tests that nobody packages: built from their Go modules, once for this machine.

#![allow(dead_code, reason = "the stand-in's tests take only the place where they are")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that is built.
pub struct Program {
    pub name: &'static str,
    pub module: &'static str,
    /// With its `v`.
    pub version: &'static str,
    /// Of the program, in the module.
    pub package: &'static str,
    /// For the linker, beside those that make it small.
    pub flags: &'static str,
}

/// Where it is, after minutes of building if it is not there yet. Fails with what this machine lacks.
pub fn program(wanted: &Program) -> Result<PathBuf, String> {
    let Program { name, module, version, package, flags } = wanted;
    let cache = cache()?;
    let program = cache.join(format!("{name}-{version}"));
    fs_err::create_dir_all(&cache).map_err(|error| error.to_string())?;
    // Tests run side by side, and one of them builds.
    let lock = fs_err::File::create(cache.join(format!("{name}.lock"))).map_err(|error| error.to_string())?;
    lock.file().lock().map_err(|error| error.to_string())?;
    if program.exists() {
        return Ok(program);
    }
    let folder = tempfile::tempdir_in(cache).map_err(|error| error.to_string())?;
    // As the tool of a module: the versions of all that it is built of are those that its own module asks for.
    let text = format!("module tools\n\ngo 1.23.0\n\nrequire {module} {version}\n\ntool {package}\n");
    fs_err::write(folder.path().join("go.mod"), text).map_err(|error| error.to_string())?;
    let go = |args: &[&str]| {
        let output = Command::new("go").args(args).env("CGO_ENABLED", "0").current_dir(folder.path()).output();
        let output = output.map_err(|error| format!("takes {name}, which is built with Go: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("go {args:?} does not build {name}: {said}")) }
    };
    go(&["mod", "tidy"])?;
    go(&["build", "-mod=mod", "-trimpath", "-ldflags", &format!("-s -w {flags}"), "-o", "it", package])?;
    fs_err::rename(folder.path().join("it"), &program).map_err(|error| error.to_string())?;
    Ok(program)
}

/// Where the toolkit keeps what can be fetched again.
pub fn cache() -> Result<PathBuf, String> {
    if rustix::process::geteuid().is_root() {
        return Ok(Path::new("/var/cache/xtask").to_owned());
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    Ok(cache.ok_or("neither XDG_CACHE_HOME nor HOME names a folder to cache in")?.join("xtask"))
}
