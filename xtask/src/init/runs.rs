//! What runs the service of a repository: a Procfile, cargo, Node.js, Go, or Python.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::shell;
use super::sources::SKIPPED;
use crate::fs::{found, read_text};
use crate::tools::platform::find_program;
use crate::tools::{cargo, git};

/// What runs a service.
pub enum Runs {
    /// A binary of a cargo package.
    Cargo {
        package: String,
        binary: String,
        /// Other packages with a binary.
        others: Vec<String>,
        /// It depends on what takes a socket.
        takes_socket: bool,
    },
    /// A program, with where each part was seen.
    Command {
        command: (Vec<String>, String),
        build: Option<(Vec<String>, String)>,
        /// None where all that git does not ignore is enough.
        files: Vec<String>,
        /// What the build makes, which git has to ignore; folders with `/` at the end.
        made: Vec<String>,
    },
    /// The image of a Dockerfile.
    Image,
}

impl Runs {
    /// A command that a person has named.
    pub fn named(command: Vec<String>) -> Self {
        Self::Command { command: (command, String::new()), build: None, files: Vec::new(), made: Vec::new() }
    }

    fn command(words: &[&str], by: &str) -> Self {
        let mut named = Self::named(owned(words));
        if let Self::Command { command, .. } = &mut named {
            command.1 = by.to_owned();
        }
        named
    }
}

/// Files one of which is in most folders that show what runs a service. Only such folders are looked at, as that starts programs.
const SHOWING: [&str; 8] =
    ["Procfile", "Cargo.toml", "package.json", "go.mod", "Dockerfile", "pyproject.toml", "requirements.txt", "app.py"];

/// The first folder, at most two below, that shows what runs a service; otherwise the first where it could not be looked for, as that is told
/// there. No link is followed.
pub async fn below(root: &Utf8Path) -> Option<Utf8PathBuf> {
    let folders = |folder: &Utf8Path| {
        let entries = root.join(folder).read_dir_utf8().into_iter().flatten().filter_map(Result::ok);
        let is_own = |name: &str| !name.starts_with('.') && !SKIPPED.contains(&name);
        let folders =
            entries.filter(|entry| is_own(entry.file_name()) && entry.file_type().is_ok_and(|it| it.is_dir()));
        let paths: BTreeSet<Utf8PathBuf> = folders.map(|entry| folder.join(entry.file_name())).collect();
        paths
    };
    let first = folders(Utf8Path::new(""));
    let second: Vec<Utf8PathBuf> = first.iter().flat_map(|folder| folders(folder)).collect();
    let may_show = |folder: &Utf8PathBuf| SHOWING.iter().any(|name| root.join(folder).join(name).is_file());
    let mut unclear = None;
    for folder in first.into_iter().chain(second).filter(may_show) {
        match find(&root.join(&folder)).await {
            Ok(Some(_)) => return Some(folder),
            Ok(None) => {}
            Err(_) => unclear = unclear.or(Some(folder)),
        }
    }
    unclear
}

/// The first that the repository shows. Fails where only cargo knows it, and is missing.
pub(super) async fn find(root: &Utf8Path) -> Result<Option<Runs>> {
    if let Some(runs) = of_procfile(root)? {
        return Ok(Some(runs));
    }
    let has_package = root.join("Cargo.toml").is_file();
    let has_cargo = find_program(&cargo::program()).is_some();
    if has_package
        && has_cargo
        && let Some(runs) = of_cargo(root).await?
    {
        return Ok(Some(runs));
    }
    let top = top(root).await?;
    for look in [of_node, of_go, of_python] {
        if let Some(runs) = look(root, &top)? {
            return Ok(Some(runs));
        }
    }
    if root.join("Dockerfile").is_file() {
        return Ok(Some(Runs::Image));
    }
    if has_package && !has_cargo {
        bail!("{root} has a Cargo.toml, and cargo is not on the PATH\n  install Rust: https://rustup.rs");
    }
    Ok(None)
}

fn of_procfile(root: &Utf8Path) -> Result<Option<Runs>> {
    let text = found(read_text(root.join("Procfile")))?.unwrap_or_default();
    let web = text.lines().find_map(|line| line.strip_prefix("web:"));
    Ok(web.and_then(shell::words).map(|words| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Runs::command(&words, "Procfile")
    }))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    default_run: Option<String>,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

/// Crates that serve HTTP.
const SERVERS: [&str; 9] = ["axum", "actix-web", "rocket", "warp", "poem", "salvo", "tide", "hyper", "tiny_http"];

async fn of_cargo(root: &Utf8Path) -> Result<Option<Runs>> {
    let said = cargo::cargo(root).args(["metadata", "--format-version", "1", "--no-deps"]).capture().await?;
    let Metadata { mut packages } = serde_json::from_str(&said).context("read cargo's metadata of the workspace")?;
    let binaries = |package: &Package| -> Vec<String> {
        let is_binary = |target: &&Target| target.kind.iter().any(|kind| kind == "bin");
        package.targets.iter().filter(is_binary).map(|target| target.name.clone()).collect()
    };
    let has = |package: &Package, names: &[&str]| {
        package.dependencies.iter().any(|dependency| names.contains(&dependency.name.as_str()))
    };
    packages.retain(|package| !binaries(package).is_empty());
    // Those that serve first; the order of the names otherwise.
    packages.sort_by_key(|package| (!has(package, &SERVERS), package.name.clone()));
    let mut packages = packages.into_iter();
    let Some(package) = packages.next() else { return Ok(None) };
    let names = binaries(&package);
    let own = names.iter().find(|name| **name == package.name).or(names.first()).cloned();
    let takes_socket = has(&package, &["listenfd", "sd-listen-fds"]);
    Ok(package.default_run.clone().or(own).map(|binary| Runs::Cargo {
        binary,
        others: packages.map(|package| package.name).collect(),
        takes_socket,
        package: package.name,
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodePackage {
    main: Option<String>,
    scripts: std::collections::BTreeMap<String, String>,
    dependencies: serde_json::Map<String, serde_json::Value>,
}

fn of_node(root: &Utf8Path, top: &BTreeSet<String>) -> Result<Option<Runs>> {
    const BY: &str = "package.json";
    let package = match found(read_text(root.join(BY)))? {
        Some(text) => serde_json::from_str(&text).context("read package.json")?,
        None => NodePackage::default(),
    };
    let start = package.scripts.get("start").filter(|start| shell::program(start) == Some("node"));
    let start = start.and_then(|start| shell::words(start));
    let is_there = |name: &&str| root.join(name).is_file();
    let main = package.main.as_deref().filter(is_there);
    let main = main.or(["server.js", "index.js", "app.js", "server.mjs"].into_iter().find(is_there));
    let command = match (start, main) {
        (Some(words), _) => (words, BY.to_owned()),
        (None, Some(main)) => (owned(&["node", main]), main.to_owned()),
        (None, None) if package.scripts.contains_key("start") => {
            (owned(&["npm", "start"]), "better the program that it starts: npm does not pass SIGTERM on".to_owned())
        }
        (None, None) => return Ok(None),
    };
    // A lock file that the build writes would be a change of the tree.
    let has_lock = root.join("package-lock.json").is_file();
    let install = if has_lock { "npm ci" } else { "npm install --no-package-lock" };
    let (build, made): (_, &[&str]) = match (package.dependencies.is_empty(), package.scripts.contains_key("build")) {
        (true, false) => (None, &[]),
        (false, false) => (Some(shlex::split(install).unwrap_or_default()), &["node_modules/"]),
        (_, true) => (Some(owned(&["sh", "-c", &format!("{install} && npm run build")])), &["node_modules/", "dist/"]),
    };
    let files = if build.is_some() { with(top, made) } else { Vec::new() };
    let build = build.map(|build| (build, BY.to_owned()));
    Ok(Some(Runs::Command { command, build, files, made: owned(made) }))
}

fn of_go(root: &Utf8Path, _: &BTreeSet<String>) -> Result<Option<Runs>> {
    if !root.join("go.mod").is_file() {
        return Ok(None);
    }
    let mut place = ".".to_owned();
    if !root.join("main.go").is_file()
        && let Ok(entries) = root.join("cmd").read_dir_utf8()
    {
        let programs = entries.filter_map(Result::ok).filter(|entry| has_go(entry.path()));
        let mut names: Vec<String> = programs.map(|entry| entry.file_name().to_owned()).collect();
        names.sort();
        place = names.first().map_or(place, |name| format!("./cmd/{name}"));
    }
    let folders = ["static", "templates", "public", "web"].into_iter().filter(|folder| root.join(folder).is_dir());
    Ok(Some(Runs::Command {
        command: (owned(&["./bin/server"]), String::new()),
        build: Some((owned(&["go", "build", "-o", "bin/server", &place]), "go.mod".to_owned())),
        files: std::iter::once("bin/server").chain(folders).map(str::to_owned).collect(),
        made: owned(&["bin/server"]),
    }))
}

fn has_go(folder: &Utf8Path) -> bool {
    let Ok(entries) = folder.read_dir_utf8() else { return false };
    entries.filter_map(Result::ok).any(|entry| entry.path().extension() == Some("go"))
}

fn of_python(root: &Utf8Path, top: &BTreeSet<String>) -> Result<Option<Runs>> {
    let main = ["app.py", "main.py", "server.py"].into_iter().find(|name| root.join(name).is_file());
    let Some(main) = main else { return Ok(None) };
    if !root.join("requirements.txt").is_file() {
        return Ok(Some(Runs::command(&["python3", main], main)));
    }
    let install = "python3 -m pip install --target vendor -r requirements.txt";
    Ok(Some(Runs::Command {
        command: (owned(&["env", "PYTHONPATH=vendor", "python3", main]), main.to_owned()),
        build: Some((shlex::split(install).unwrap_or_default(), "requirements.txt".to_owned())),
        files: with(top, &["vendor/"]),
        made: owned(&["vendor/"]),
    }))
}

/// What git does not ignore at the top of the repository, and is not about it. Without a repository git ignores nothing.
async fn top(root: &Utf8Path) -> Result<BTreeSet<String>> {
    const ABOUT: [&str; 9] =
        ["deploy.yaml", "Dockerfile", "LICENSE", "README.md", "Procfile", "test", "tests", "__pycache__", "venv"];
    let mut names = BTreeSet::new();
    match git::kept_files(root, Utf8Path::new(".")).await {
        Ok(kept) => {
            let kept = kept.iter().filter_map(|path| Utf8Path::from_path(path));
            // What was removed and not committed is still listed.
            let kept = kept.filter(|path| fs_err::symlink_metadata(root.join(path)).is_ok());
            names.extend(kept.filter_map(|path| Some(path.components().next()?.as_str().to_owned())));
        }
        Err(_) => {
            for entry in root.read_dir_utf8().with_context(|| format!("list {root}"))? {
                names.insert(entry?.file_name().to_owned());
            }
        }
    }
    names.retain(|name| !name.starts_with('.') && !ABOUT.contains(&name.as_str()));
    Ok(names)
}

/// These files, and what the build makes.
fn with(top: &BTreeSet<String>, made: &[&str]) -> Vec<String> {
    let made = made.iter().map(|name| name.trim_end_matches('/').to_owned());
    made.chain(top.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        folder
    }

    async fn found_in(folder: &tempfile::TempDir) -> (Vec<String>, Vec<String>, Vec<String>, Vec<String>) {
        let root = Utf8Path::from_path(folder.path()).unwrap();
        match find(root).await.unwrap().unwrap() {
            Runs::Command { command, build, files, made } => {
                (command.0, build.map(|(build, _)| build).unwrap_or_default(), files, made)
            }
            Runs::Cargo { package, .. } => panic!("{package}"),
            Runs::Image => panic!("an image"),
        }
    }

    #[tokio::test]
    async fn a_release_has_what_git_does_not_ignore_and_what_the_build_makes() {
        let folder = tree(&[
            ("main.py", ""),
            ("requirements.txt", "flask"),
            ("credentials.json", "{}"),
            ("venv/bin/python", ""),
            (".gitignore", "credentials.json\nvenv\n"),
        ]);
        let init = std::process::Command::new("git").args(["init", "--quiet"]).current_dir(folder.path()).output();
        assert!(init.unwrap().status.success());
        let (_, _, files, made) = found_in(&folder).await;
        assert_eq!((files, made), (owned(&["main.py", "requirements.txt", "vendor"]), owned(&["vendor/"])));
    }

    #[tokio::test]
    async fn a_program_of_go_is_a_folder_with_its_source() {
        let folder =
            tree(&[("go.mod", ""), ("cmd/README.md", ""), ("cmd/api/Makefile", ""), ("cmd/serve/main.go", "")]);
        let (command, build, files, made) = found_in(&folder).await;
        assert_eq!(
            (command, build),
            (owned(&["./bin/server"]), owned(&["go", "build", "-o", "bin/server", "./cmd/serve"]))
        );
        assert_eq!((files, made), (owned(&["bin/server"]), owned(&["bin/server"])));
    }

    #[tokio::test]
    async fn what_a_shell_understands_is_run_by_one() {
        let start = r#"{ "scripts": { "start": "cd src && PORT=1 node a.js" }, "dependencies": { "a": "1" } }"#;
        let (command, build, files, _) = found_in(&tree(&[("package.json", start), ("src/a.js", "")])).await;
        assert_eq!(command, owned(&["sh", "-c", "cd src && exec env PORT=1 node a.js"]));
        assert_eq!(build, owned(&["npm", "install", "--no-package-lock"]));
        assert_eq!(files, owned(&["node_modules", "package.json", "src"]));
        let (command, ..) = found_in(&tree(&[("Procfile", "web: serve | tee log\n"), ("server.js", "")])).await;
        assert_eq!(command, owned(&["node", "server.js"]));
    }
}
