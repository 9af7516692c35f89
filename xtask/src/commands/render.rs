//! `render`

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::json;

use super::Context;
use crate::config::SettingsTable;
use crate::env::Env;
use crate::failure::Failure;
use crate::fs::project;
use crate::render::{Rendered, Rendering, Schema, Toolkit, render};
use crate::settings;
use crate::tools::git;

/// Write the files that are generated from the table of settings and the templates
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask render
  cargo xtask render --check              fails, with a diff, when a file is not up to date
  cargo xtask render --check --build      in CI: also when the table of settings is not what the service says

Both forms tell which values of deploy.yaml and of .env.ENVIRONMENT the service does not take; --check fails for those of deploy.yaml.

The table of settings is compared with the service's program only where that is built from the sources as they are; --build has \
cargo build it first.

deploy.schema.json is written where the line `# yaml-language-server: $schema=deploy.schema.json` of deploy.yaml names it.

What Docker Compose runs is rendered for each environment with `target: compose`.

Workflows of GitHub Actions are rendered where deploy.yaml has `github`; one that deploy.yaml no longer asks for is removed. Your own jobs and steps are in its `workflows`; a file in \
templates/ takes the place of the toolkit's template of that name.")]
pub struct RenderArgs {
    /// Change nothing; fail with a diff when a file is not up to date
    #[arg(long)]
    check: bool,
    /// With --check: build the service, to compare the table of settings with it
    #[arg(long, requires = "check")]
    build: bool,
}

impl RenderArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let Context { config, report, .. } = context;
        let schema = if self.check && !self.build { Schema::Built } else { Schema::Build };
        if matches!(schema, Schema::Build) && config.service.schema.is_some() {
            report.note(&format!("cargo builds {}, which says its settings", config.service.binary));
        }
        let Rendering { files, left, table, not_compared } = render(config, schema).await?;
        let stale: Vec<&Rendered> = files.iter().filter(|file| !file.is_fresh()).collect();
        for file in &stale {
            let name = &file.name;
            if self.check {
                let diff = file.diff();
                report.excerpt(json!({ "file": name, "diff": diff }), &diff);
            } else {
                file.write(config)?;
                report.result(json!({ "file": name, "written": true }), &format!("wrote {name}"));
            }
        }
        for name in &left {
            if self.check {
                report.result(json!({ "file": name, "left": true }), &format!("{name} is rendered no more"));
            } else {
                let path = project::place_to_write(&config.root, name).map_err(anyhow::Error::from);
                path.and_then(|path| Ok(fs_err::remove_file(path)?)).context("remove what is rendered no more")?;
                report.result(json!({ "file": name, "removed": true }), &format!("removed {name}"));
            }
        }
        if let Some(why) = not_compared {
            let file = config.service.table();
            report.note(&format!(
                "{file} was not compared with the service: {why}; to do so, type: cargo xtask render --check --build"
            ));
        }
        let unknown = report_settings(context, &table)?;
        for file in &files {
            // Outside of a repository nothing is ignored, and what is committed is not, either.
            if git::ignores(&config.root, file.name.as_str()).await.unwrap_or(false) {
                report.warn(&format!(
                    "git ignores {0}, so a clone lacks it, and `render --check` fails there\n  type: git add --force {0}",
                    file.name
                ));
            }
        }
        if config.github.is_some() && Toolkit::of(&config.root)?.is_unreleased() {
            report.warn(&format!(
                "the jobs install the release {0} of this program, and this one was compiled from a checkout: they fail where there is no such \
                 release, and may render something else\n  render with a released one: cargo binstall --git {1} cutover@{0}",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_REPOSITORY")
            ));
        }
        let below = git::prefix(&config.root).await?;
        if config.github.is_some() && !below.is_empty() {
            report.warn(&format!(
                "GitHub reads workflows at the top of a repository only, and these are in {below}.github\n  give the project a \
                 repository of its own, or copy them to the top, with `defaults: {{ run: {{ working-directory: {below} }} }}`"
            ));
        }
        if stale.is_empty() && left.is_empty() {
            report.note("every rendered file is up to date");
        }
        if self.check && !(stale.is_empty() && left.is_empty()) {
            let names: Vec<&str> = stale.iter().map(|file| &file.name).chain(&left).map(|name| name.as_str()).collect();
            return Err(anyhow!("not up to date: {}; type: cargo xtask render", names.join(", ")).into());
        }
        if self.check && unknown > 0 {
            return Err(anyhow!("deploy.yaml sets {unknown} settings that a deploy would refuse: correct it").into());
        }
        Ok(())
    }
}

/// Tells what deploy.yaml and the files of the environments set that the service does not take. How many of deploy.yaml there are.
fn report_settings(context: &Context<'_>, table: &SettingsTable) -> Result<usize, Failure> {
    let mut count = 0;
    for environment in context.config.environments.values() {
        let env = Env::find(context.config, &environment.name, context.report, context.stop)?;
        for problem in table.check(environment) {
            context.report.warn(&problem.to_string());
            count += 1;
        }
        let unknown = settings::unknown::unknown(&env, table);
        // What cannot be read is an error of the commands that take it.
        unknown.into_iter().flatten().for_each(|line| context.report.warn(&line));
    }
    Ok(count)
}
