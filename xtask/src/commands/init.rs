//! `init`

use anyhow::{Context as _, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::json;

use crate::config::{Config, FILE, Reference, SCHEMA};
use crate::confirm::answer;
use crate::failure::Failure;
use crate::fs::{found, read_text, replace_source};
use crate::init::{Found, Runs, Seen, below};
use crate::report::Report;
use crate::signals::Stop;
use crate::tools::git;

/// What is kept out of commits: what was deployed, and secrets.
const IGNORED: [&str; 2] = [".deploy/", ".env.local"];

/// Write a first deploy.yaml of what this folder shows
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask init
  cargo xtask init --yes
  cargo xtask init --readiness /health -- node server.js

Looks at cargo's packages, package.json, go.mod, Procfile, Python's main files, a Dockerfile, .env.example, migrations and the sources. Runs no \
program of the project. Asks only what it cannot see. The lines that git needs are added to .gitignore.")]
pub struct InitArgs {
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    /// The path that answers 200 when the service can serve
    #[arg(long, value_name = "PATH")]
    readiness: Option<String>,
    /// What runs the service, where the folder does not show it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl InitArgs {
    /// Runs the command. There is no deploy.yaml yet.
    pub async fn run(self, report: &Report, stop: &Stop) -> Result<(), Failure> {
        let root = std::env::current_dir().context("read the current folder")?;
        let root = &Utf8PathBuf::try_from(root).context("the path of this folder is not UTF-8")?;
        let file = root.join(FILE);
        if found(fs_err::symlink_metadata(&file)).map_err(anyhow::Error::from)?.is_some() {
            return Err(Failure::Usage(anyhow!(
                "there is a {FILE} already; to look at what it lacks, type: cargo xtask doctor"
            )));
        }
        let named = (!self.command.is_empty()).then(|| Runs::named(self.command));
        let mut seen = Seen::look(root, named).await?;
        let named = |value: String| Found { value, by: String::new() };
        seen.readiness = self.readiness.map(named).or(seen.readiness);
        let ask = async |question: &str| match self.yes {
            true => Ok::<_, Failure>(None),
            false => {
                Ok(answer(report, stop, question, "nothing was written").await?.filter(|answer| !answer.is_empty()))
            }
        };
        if seen.runs.is_none() {
            let words = ask("What runs the service? For example `node server.js`:").await?;
            seen.runs = words.and_then(|words| shlex::split(&words)).map(Runs::named);
        }
        if seen.runs.is_some() && seen.readiness.is_none() {
            seen.readiness = ask("Which path answers 200 when the service can serve? [/]:").await?.map(named);
        }
        let Some(text) = seen.deploy_yaml() else { return Err(unknown(root).await) };
        // Its own check, before anything is written.
        Config::parse(&text)?;
        replace_source(&file, text.as_bytes())?;
        replace_source(&root.join(SCHEMA), Reference::new().schema_text().as_bytes())?;
        for file in [FILE, SCHEMA] {
            report.result(json!({ "file": file, "written": true }), &format!("wrote {file}"));
        }
        let made = match &seen.runs {
            Some(Runs::Command { made, .. }) => made.as_slice(),
            _ => &[],
        };
        let added = ignore(root, made).await?;
        if !added.is_empty() {
            report.result(
                json!({ "file": ".gitignore", "added": added }),
                &format!("added to .gitignore: {}", added.join(", ")),
            );
        }
        let begin = if git::ignores(root, FILE).await.is_err() { "git init && " } else { "" };
        report.note(&format!("read it, then: {begin}git add . && git commit, and: cargo xtask deploy"));
        Ok(())
    }
}

async fn unknown(root: &Utf8Path) -> Failure {
    let name_it = "name it, for example: cargo xtask init -- node server.js";
    let folder = below(root).await;
    let next = match folder.as_ref().and_then(|folder| shlex::try_quote(folder.as_str()).ok()) {
        // A deploy.yaml is beside what it describes: of a repository with several services, each has one.
        Some(folder) => format!("a folder below shows it: cd {folder} && cargo xtask init\n  or {name_it}"),
        None => name_it.to_owned(),
    };
    Failure::Usage(anyhow!("nothing in {root} shows what runs the service\n  {next}"))
}

/// Adds the lines to .gitignore that it lacks: for what was deployed, secrets, and what the build makes.
async fn ignore(root: &Utf8Path, made: &[String]) -> Result<Vec<String>, Failure> {
    let path = root.join(".gitignore");
    let mut text = found(read_text(&path)).map_err(anyhow::Error::from)?.unwrap_or_default();
    let mut added = Vec::new();
    // Of a folder that is not there yet git has to know that it is one.
    for path in IGNORED.into_iter().chain(made.iter().map(String::as_str)) {
        let line = format!("/{}", path.trim_end_matches('/'));
        // Outside of a repository git says nothing, and the lines count once there is one.
        let known = [line.as_str(), &line[1..], &format!("{}/", &line[1..]), &format!("{line}/")];
        if !text.lines().any(|text| known.contains(&text.trim())) && !git::ignores(root, path).await.unwrap_or(false) {
            added.push(line);
        }
    }
    if added.is_empty() {
        return Ok(added);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&(added.join("\n") + "\n"));
    replace_source(&path, text.as_bytes())?;
    Ok(added)
}
