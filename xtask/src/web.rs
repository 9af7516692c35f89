//! The service's web UI: whether this machine can build it, and the build, which is reused while nothing that it is made of has
//! changed.

mod engines;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, Need};
use crate::fs::{Lock, found, private_folder, project, read_file, replace_file};
use crate::hash::{add_file, sha256_folder};
use crate::report::Ongoing;
use crate::tools::{git, npm, platform};

/// The programs that build it.
const PROGRAMS: [&str; 2] = ["node", "npm"];
/// What was built last, beside the environments' folders: all build in the same tree.
const STAMP: &str = ".deploy/web.json";
/// How long to wait for another deploy that builds it.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Whether a deploy builds the web UI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// With this version of Node.js.
    Build(String),
    /// The service runs without it, because deploy.yaml has Node.js as the need of a feature. Says why.
    Off(String),
}

#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Stamp {
    /// A digest of everything that it was made of.
    inputs: String,
    /// A digest of what was made.
    built: String,
}

/// Whether it is built on this machine; none where there is none. Fails, with the next step, where it cannot be and must.
pub async fn decide(config: &Config) -> Result<Option<Decision>> {
    let Some(folder) = &config.service.web else { return Ok(None) };
    let wanted = wanted_node(&config.root, folder)?;
    let missing = missing_programs();
    let (found, fix) = if missing.is_empty() {
        let version = npm::node_version().await?;
        match wanted.filter(|wanted| !engines::admit(wanted, &version)) {
            None => return Ok(Some(Decision::Build(version))),
            Some(wanted) => (
                format!("this machine has Node.js {version}, and {folder}/package.json asks for `{wanted}`"),
                "install another one: https://nodejs.org/en/download",
            ),
        }
    } else {
        (
            format!("this machine has no {}, which the web UI is built with", missing.join(" and no ")),
            "cargo xtask setup",
        )
    };
    if is_feature(config) { Ok(Some(Decision::Off(found))) } else { bail!("{found}\n  {fix}") }
}

/// Those of its programs that this machine lacks.
pub fn missing_programs() -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|program| platform::find_program(program).is_none()).collect()
}

/// Files of its folder that bundlers read and that git often ignores.
pub fn environment_files(folder: &Utf8Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir_utf8().with_context(|| format!("list {folder}"))? {
        let entry = entry?;
        if entry.file_name().starts_with(".env") && entry.file_type()?.is_file() {
            files.push(entry.path().as_std_path().to_owned());
        }
    }
    Ok(files)
}

/// Builds it with this version of Node.js, unless its inputs and what was built of them are unchanged. Returns the folder of the built
/// files and their digest. The build does not inherit the variables `hidden`.
pub async fn build(config: &Config, node: &str, hidden: &[String], step: &Ongoing) -> Result<(Utf8PathBuf, String)> {
    let folder = config.service.web.as_ref().context("the service has no web UI")?;
    let (root, place, stamp) = (&config.root, config.root.join(folder), config.root.join(STAMP));
    private_folder(stamp.parent().unwrap_or(root))?;
    let _lock = Lock::take(&stamp.with_extension("lock"), "builds the web UI", PATIENCE).await?;
    let inputs = inputs(root, folder, node).await?;
    let (known, dist) = (last(&stamp)?, npm::built(&place));
    if let (Some(inputs), Some(known)) = (&inputs, known)
        && known.inputs == *inputs
        && dist.is_dir()
        && known.built == sha256_folder(&dist)?
    {
        step.progress("web: unchanged");
        return Ok((dist, known.built));
    }
    step.progress("web: npm ci");
    npm::install(&place, hidden, |line| step.output(line)).await?;
    step.progress("web: npm run build");
    let dist = npm::run_build(&place, hidden, |line| step.output(line)).await?;
    let built = sha256_folder(&dist)?;
    match inputs {
        Some(inputs) => {
            let stamp_of_now = Stamp { inputs, built: built.clone() };
            replace_file(&stamp, &serde_json::to_vec(&stamp_of_now).context("describe what was built")?)?;
        }
        None => found(fs_err::remove_file(&stamp)).map(drop)?,
    }
    Ok((dist, built))
}

fn last(stamp: &Utf8Path) -> Result<Option<Stamp>> {
    // One that cannot be understood is none: the build is repeated.
    Ok(found(read_file(stamp))?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// A digest of the folder's files that git does not ignore, of files and variables that bundlers put into what they build, and of the
/// version of Node.js. None where something cannot be part of it, as a link or a repository inside the folder.
async fn inputs(root: &Utf8Path, folder: &Utf8Path, node: &str) -> Result<Option<String>> {
    let mut hasher = Sha256::new();
    hasher.update(format!("node {node}\0"));
    let is_read = |name: &str| name.starts_with("VITE_") || name.starts_with("PUBLIC_") || name == "NODE_ENV";
    let variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| is_read(name))
        .collect();
    for (name, value) in variables {
        hasher.update(format!("{name}={value}\0"));
    }
    let mut files = git::kept_files(root, folder).await?;
    let hidden = environment_files(&root.join(folder))?;
    files.extend(hidden.iter().filter_map(|file| file.strip_prefix(root).ok()).map(Path::to_owned));
    for name in files {
        let file = root.as_std_path().join(&name);
        match found(fs_err::symlink_metadata(&file))? {
            // Deleted, and git does not know yet.
            None => continue,
            Some(data) if data.is_file() => {}
            Some(_) => return Ok(None),
        }
        hasher.update(name.as_os_str().as_encoded_bytes());
        hasher.update(b"\0");
        let mut content = Sha256::new();
        add_file(&mut content, &file)?;
        hasher.update(content.finalize());
    }
    Ok(Some(hex::encode(hasher.finalize())))
}

/// What its package.json says of the version of Node.js.
fn wanted_node(root: &Utf8Path, folder: &Utf8Path) -> Result<Option<String>> {
    let manifest = folder.join("package.json");
    let text = project::read(root, &manifest).with_context(|| format!("read {manifest}"))?;
    let text = text.with_context(|| {
        format!("`service.web` names {folder}, which has no package.json\n  name the web UI's folder in deploy.yaml, or remove the key")
    })?;
    let manifest: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| format!("{manifest} is not JSON"))?;
    Ok(manifest["engines"]["node"].as_str().map(str::to_owned))
}

fn is_feature(config: &Config) -> bool {
    let mut own = config.service.programs.iter().filter(|program| PROGRAMS.contains(&program.name.as_str()));
    own.any(|program| matches!(program.need, Need::Feature(_)))
}
