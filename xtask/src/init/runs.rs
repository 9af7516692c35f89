//! What runs the service of a repository: a Procfile, cargo, Node.js, Go, or Python.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::Deserialize;

use crate::fs::{found, read_text};
use crate::tools::cargo;

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
    },
}

impl Runs {
    /// A command that a person has named.
    pub fn named(command: Vec<String>) -> Self {
        Self::Command { command: (command, String::new()), build: None, files: Vec::new() }
    }

    fn command(words: &[&str], by: &str) -> Self {
        let mut named = Self::named(owned(words));
        if let Self::Command { command, .. } = &mut named {
            command.1 = by.to_owned();
        }
        named
    }
}

/// The first that the repository shows.
pub(super) async fn find(root: &Utf8Path) -> Result<Option<Runs>> {
    if let Some(runs) = of_procfile(root)? {
        return Ok(Some(runs));
    }
    if root.join("Cargo.toml").is_file()
        && let Some(runs) = of_cargo(root).await?
    {
        return Ok(Some(runs));
    }
    for look in [of_node, of_go, of_python] {
        if let Some(runs) = look(root)? {
            return Ok(Some(runs));
        }
    }
    Ok(None)
}

fn of_procfile(root: &Utf8Path) -> Result<Option<Runs>> {
    let text = found(read_text(root.join("Procfile")))?.unwrap_or_default();
    let web = text.lines().find_map(|line| line.strip_prefix("web:"));
    // What a shell would fill in is not known here.
    let words = web.filter(|web| !web.contains(['$', '&', '|', ';', '`'])).and_then(shlex::split);
    Ok(words.filter(|words| !words.is_empty()).map(|words| {
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

fn of_node(root: &Utf8Path) -> Result<Option<Runs>> {
    const BY: &str = "package.json";
    let package = match found(read_text(root.join(BY)))? {
        Some(text) => serde_json::from_str(&text).context("read package.json")?,
        None => NodePackage::default(),
    };
    let start = package.scripts.get("start").and_then(|start| shlex::split(start));
    let start = start.filter(|words| words.first().is_some_and(|word| word == "node"));
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
    let install = if root.join("package-lock.json").is_file() { "npm ci" } else { "npm install" };
    let build = match (package.dependencies.is_empty(), package.scripts.contains_key("build")) {
        (true, false) => None,
        (false, false) => Some(shlex::split(install).unwrap_or_default()),
        (_, true) => Some(owned(&["sh", "-c", &format!("{install} && npm run build")])),
    };
    let files = if build.is_some() { top(root, &["node_modules", "dist"])? } else { Vec::new() };
    let files = files.into_iter().filter(|name| name != "dist" || package.scripts.contains_key("build")).collect();
    Ok(Some(Runs::Command { command, build: build.map(|build| (build, BY.to_owned())), files }))
}

fn of_go(root: &Utf8Path) -> Result<Option<Runs>> {
    if !root.join("go.mod").is_file() {
        return Ok(None);
    }
    let mut place = ".".to_owned();
    if !root.join("main.go").is_file()
        && let Ok(entries) = root.join("cmd").read_dir_utf8()
    {
        let mut names: Vec<String> = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned())).collect();
        names.sort();
        place = names.first().map_or(place, |name| format!("./cmd/{name}"));
    }
    let folders = ["static", "templates", "public", "web"].into_iter().filter(|folder| root.join(folder).is_dir());
    Ok(Some(Runs::Command {
        command: (owned(&["./server"]), String::new()),
        build: Some((owned(&["go", "build", "-o", "server", &place]), "go.mod".to_owned())),
        files: std::iter::once("server").chain(folders).map(str::to_owned).collect(),
    }))
}

fn of_python(root: &Utf8Path) -> Result<Option<Runs>> {
    let main = ["app.py", "main.py", "server.py"].into_iter().find(|name| root.join(name).is_file());
    let Some(main) = main else { return Ok(None) };
    if !root.join("requirements.txt").is_file() {
        return Ok(Some(Runs::command(&["python3", main], main)));
    }
    let install = "python3 -m pip install --target vendor -r requirements.txt";
    Ok(Some(Runs::Command {
        command: (owned(&["env", "PYTHONPATH=vendor", "python3", main]), main.to_owned()),
        build: Some((shlex::split(install).unwrap_or_default(), "requirements.txt".to_owned())),
        files: top(root, &["vendor"])?,
    }))
}

/// What is at the top of the repository and not about it, and these, which a build makes.
fn top(root: &Utf8Path, built: &[&str]) -> Result<Vec<String>> {
    const ABOUT: [&str; 8] =
        ["deploy.yaml", "Dockerfile", "LICENSE", "README.md", "Procfile", "test", "tests", "__pycache__"];
    let mut names: Vec<String> = built.iter().map(|name| (*name).to_owned()).collect();
    for entry in root.read_dir_utf8().with_context(|| format!("list {root}"))? {
        let name = entry?.file_name().to_owned();
        if !name.starts_with('.') && !ABOUT.contains(&name.as_str()) && !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
