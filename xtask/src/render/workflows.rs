//! The workflows of GitHub Actions, and Dependabot's configuration.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use minijinja::context;
use minijinja::value::Serde;

use super::actions::ACTIONS;
use super::hooks;
use super::shape::Shape;
use super::templates::{Templates, is_generated};
use crate::config::{Config, SettingsTable, Workflow, Workflows};
use crate::fs::project;

/// Where GitHub finds them.
const FOLDER: &str = ".github/workflows";

/// Where GitHub finds what Dependabot updates.
const DEPENDABOT: &str = ".github/dependabot.yml";

/// Their names and contents. A workflow that would have no job is left out.
pub fn all(
    config: &Config,
    workflows: &Workflows,
    table: &SettingsTable,
    templates: &Templates,
) -> Result<Vec<(Utf8PathBuf, String)>> {
    check_released(config, workflows)?;
    let shape = &Shape::of(config, workflows, table, templates.toolkit)?;
    let actions: BTreeMap<&str, String> = ACTIONS.iter().map(|action| (action.key, action.pinned())).collect();
    let mut files = Vec::new();
    for workflow in Workflow::ALL.into_iter().filter(|workflow| !workflows.off.contains(workflow)) {
        let own = workflows.hooks.get(&workflow);
        let jobs = hooks::jobs(own)?;
        if jobs.is_empty() && !shape.has_jobs(workflow) {
            continue;
        }
        let name = workflow.name();
        let steps = hooks::steps(workflow, own)?;
        let of_tests = ["before_test", "after_test"].map(|place| steps.get(place).is_some_and(|text| !text.is_empty()));
        let tested = shape.has_tests() || of_tests.contains(&true);
        let values = context! {
            head => templates.head(&format!("its hooks are in deploy.yaml, github.workflows.{name}")),
            actions => Serde(&actions),
            hooks => Serde(steps),
            schedule => workflows.schedules.get(&workflow).map_or_else(|| schedule(workflow), String::as_str),
            tested,
            before_image => before_image(shape, tested, hooks::independent(own)),
            jobs,
            ..Serde(shape)
        };
        let text = templates.render(&format!("{name}.yml"), values)?;
        let path = Utf8PathBuf::from(format!("{FOLDER}/{name}.yml"));
        check_yaml(&text).with_context(|| {
            format!("the template and the hooks of {path} make no valid file: look at github.workflows.{name} in deploy.yaml")
        })?;
        files.push((path, text));
    }
    if shape.has_updates() {
        let values = context! { head => templates.head("its source is deploy.yaml"), ..Serde(shape) };
        files.push((DEPENDABOT.into(), templates.render("dependabot.yml", values)?));
    }
    Ok(files)
}

/// The generated files in `.github` that are not among those that are rendered now.
pub fn left<'a>(root: &Utf8Path, rendered: impl Iterator<Item = &'a Utf8PathBuf>) -> Vec<Utf8PathBuf> {
    let rendered: Vec<&Utf8PathBuf> = rendered.collect();
    let workflows = Workflow::ALL.map(|workflow| Utf8PathBuf::from(format!("{FOLDER}/{}.yml", workflow.name())));
    let paths = workflows.into_iter().chain([DEPENDABOT.into()]);
    let mut left = Vec::new();
    for path in paths.filter(|path| !rendered.contains(&path)) {
        // What is no file of the project itself, such as a link, was not rendered.
        let there = project::read_own(root, &path).ok().flatten();
        if there.is_some_and(|bytes| is_generated(&bytes)) {
            left.push(path);
        }
    }
    left
}

/// When it runs, unless deploy.yaml says otherwise: at night, not on the hour, when GitHub delays and drops runs.
fn schedule(workflow: Workflow) -> &'static str {
    match workflow {
        Workflow::Rehearse => "41 2 * * 1",
        Workflow::Prune => "23 3 * * 0",
        Workflow::Ci | Workflow::Deploy | Workflow::Drift | Workflow::Binaries => "17 4 * * *",
    }
}

/// The jobs that must pass before the image is pushed: the toolkit's, and those of the user that wait for no other.
fn before_image(shape: &Shape, tested: bool, own: Vec<&str>) -> Vec<String> {
    let of_toolkit = ["check"].into_iter().chain(tested.then_some("test")).chain(shape.has_web().then_some("web"));
    of_toolkit.chain(own).map(str::to_owned).collect()
}

fn check_released(config: &Config, workflows: &Workflows) -> Result<()> {
    for name in workflows.released.iter().flatten() {
        let environment = config.environment(name)?;
        if let Some(lacks) = config.lacks_for_a_stack(environment) {
            bail!("github.workflows.deploy.released names {name}, to which no release can be deployed: {lacks}");
        }
    }
    Ok(())
}

/// Hooks with a job's id that the toolkit has too, or a template of the project, can make a file that GitHub does not read.
fn check_yaml(text: &str) -> Result<()> {
    serde_yaml::from_str::<serde_yaml::Value>(text)?;
    Ok(())
}
