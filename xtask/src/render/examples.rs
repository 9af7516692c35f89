//! `.env.example`, and a `.env.<environment>.example` for each environment with a stack, a Docker host or an Easypanel: names and what they are,
//! no value.

use anyhow::Result;
use camino::Utf8PathBuf;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use super::templates::Templates;
use crate::config::{Config, SettingsTable, Target};
use crate::needs::{Ci, Need, needs};

/// A need, as the template sees it.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    help: &'a str,
    required: bool,
    secret: bool,
    /// Where GitHub Actions has it, unless a person gives it there.
    elsewhere: &'static str,
}

/// Their names and contents.
pub fn all(config: &Config, table: &SettingsTable, templates: &Templates) -> Result<Vec<(Utf8PathBuf, String)>> {
    let mut files = Vec::new();
    let values = context! { project => &config.project, settings => Serde(&table.settings) };
    files.extend(templates.render_settings(values)?.map(|text| (Utf8PathBuf::from(".env.example"), text)));
    for environment in config.environments.values() {
        if !environment.has_own_stack() && !matches!(environment.target, Target::Compose(_) | Target::Easypanel(_)) {
            continue;
        }
        let needs = needs(config, environment, table)?;
        // A role is for a job of CI alone.
        let lines: Vec<Line<'_>> = needs.iter().filter(|need| need.ci != Ci::Alone).map(line).collect();
        let values = context! {
            project => &config.project,
            environment => context! { name => &environment.name },
            needs => Serde(&lines),
        };
        let name = format!(".env.{}.example", environment.name);
        files.push((name.into(), templates.render("env.environment.example", values)?));
    }
    Ok(files)
}

fn line(need: &Need) -> Line<'_> {
    let Need { name, help, required, secret, ci, .. } = need;
    let elsewhere = match ci {
        Ci::Given | Ci::Alone => "",
        Ci::Expression(_) => "GitHub Actions has its own",
        Ci::Nowhere => "not in GitHub Actions",
    };
    Line { name, help, required: *required, secret: *secret, elsewhere }
}
