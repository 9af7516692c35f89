//! A real `tofu` for tests: the machine's, or one that is built from its Go module, once for this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "1.12.6";
/// Its own `go.mod` replaces this module, which `go install …@version` refuses: so it is the tool of a module that
/// replaces it too.
const HCL: &str =
    "github.com/hashicorp/hcl/v2 v2.20.1 => github.com/opentofu/hcl/v2 v2.20.2-0.20251021132045-587d123c2828";

/// The program. Fails with what this machine lacks. Builds for three minutes and longer where there is none yet.
pub fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|folder| folder.join("tofu")).find(|file| file.is_file()) {
        return Ok(found);
    }
    let cache = cache()?.join(format!("tofu-{VERSION}"));
    let program = cache.join("tofu");
    fs_err::create_dir_all(&cache).map_err(|error| error.to_string())?;
    // Tests run side by side, and one of them builds.
    let lock = fs_err::File::create(cache.join("lock")).map_err(|error| error.to_string())?;
    lock.file().lock().map_err(|error| error.to_string())?;
    if !program.exists() {
        build(&cache, &program)?;
    }
    Ok(program)
}

fn build(cache: &Path, program: &Path) -> Result<(), String> {
    let module = tempfile::tempdir_in(cache).map_err(|error| error.to_string())?;
    let text = format!(
        "module tools\n\ngo 1.25.0\n\nrequire github.com/opentofu/opentofu v{VERSION}\n\nreplace {HCL}\n\n\
         tool github.com/opentofu/opentofu/cmd/tofu\n"
    );
    fs_err::write(module.path().join("go.mod"), text).map_err(|error| error.to_string())?;
    go(module.path(), &["mod", "tidy"])?;
    let package = "github.com/opentofu/opentofu/cmd/tofu";
    go(module.path(), &["build", "-trimpath", "-ldflags", "-s -w", "-o", "it", package])?;
    fs_err::rename(module.path().join("it"), program).map_err(|error| error.to_string())
}

fn go(folder: &Path, args: &[&str]) -> Result<(), String> {
    let output = Command::new("go").args(args).env("CGO_ENABLED", "0").current_dir(folder).output();
    let output = output.map_err(|error| format!("takes OpenTofu, which is built with Go: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("go {args:?} does not build OpenTofu: {said}")) }
}

/// Where the toolkit keeps what can be fetched again.
fn cache() -> Result<PathBuf, String> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/cache/xtask"));
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    Ok(cache.ok_or("neither XDG_CACHE_HOME nor HOME names a folder to cache in")?.join("xtask"))
}
