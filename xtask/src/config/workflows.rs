//! `github.workflows` of deploy.yaml: what the rendered workflows have of the user's own.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::check;
use super::field::{Field, Table, key};

const RUNNER: &str = "ubuntu-24.04";
const STEPS: &str = "[{ name: Lint the docs, run: make lint }]";
const JOBS: &str = "{ docs: { runs-on: ubuntu-24.04, steps: [{ run: make docs }] } }";

/// What the rendered workflows have of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflows {
    /// The label of the machines that jobs run on; `ubuntu-24.04` by default.
    pub runner: String,
    /// Whether GitHub attests that a workflow has built an image; true by default. GitHub has no attestations for some private
    /// repositories.
    pub attestations: bool,
    /// The environments that a release is deployed to; those with a stack that runs the service by default.
    pub released: Option<Vec<String>>,
    /// Schedules that differ from the default, in cron's format.
    pub schedules: BTreeMap<Workflow, String>,
    /// The workflows that are not rendered.
    pub off: Vec<Workflow>,
    /// The user's own jobs and steps.
    pub hooks: BTreeMap<Workflow, Hooks>,
}

/// A rendered workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workflow {
    /// Checks, tests, image and pre-release.
    Ci,
    /// A release to its environments.
    Deploy,
    /// Whether anything differs from the last record, on a schedule.
    Drift,
    /// A rehearsal of a deploy, on a schedule.
    Rehearse,
    /// Old images and releases, on a schedule.
    Prune,
    /// The toolkit's own program for every system, at the tag of a version.
    Binaries,
}

/// The user's own jobs and steps in a workflow, to be inserted as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Jobs by their id.
    pub jobs: BTreeMap<String, Value>,
    /// Steps by their place: `before_JOB` or `after_JOB`.
    pub steps: BTreeMap<&'static str, Vec<Value>>,
}

impl Workflow {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ci, Self::Deploy, Self::Drift, Self::Rehearse, Self::Prune, Self::Binaries];

    /// Its name in deploy.yaml, and that of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Deploy => "deploy",
            Self::Drift => "drift",
            Self::Rehearse => "rehearse",
            Self::Prune => "prune",
            Self::Binaries => "binaries",
        }
    }

    /// What `github.workflows` says of it, in the reference.
    fn meaning(self) -> &'static str {
        match self {
            Self::Ci => "The workflow of checks, tests, image and pre-release, or `off`.",
            Self::Deploy => "The workflow that brings a release to its environments, or `off`.",
            Self::Drift => "The workflow that looks, on a schedule, for what differs from the last record, or `off`.",
            Self::Rehearse => "The workflow that rehearses a deploy, on a schedule, or `off`.",
            Self::Prune => "The workflow that removes old images and releases, on a schedule, or `off`.",
            Self::Binaries => {
                "The workflow that releases the toolkit's own program, in a repository that has it in xtask/cutover, or `off`."
            }
        }
    }

    /// The places of the user's own steps.
    pub fn places(self) -> &'static [&'static str] {
        match self {
            Self::Ci => &[
                "before_check",
                "after_check",
                "before_test",
                "after_test",
                "before_web",
                "after_web",
                "before_plan",
                "after_plan",
                "before_image",
                "after_image",
                "before_release",
                "after_release",
            ],
            Self::Deploy => &["before_plan", "after_plan", "before_deploy", "after_deploy"],
            Self::Drift => &["before_drift", "after_drift"],
            Self::Rehearse => &["before_rehearse", "after_rehearse"],
            Self::Prune => &["before_images", "after_images", "before_releases", "after_releases"],
            Self::Binaries => &["before_draft", "after_draft"],
        }
    }

    fn is_scheduled(self) -> bool {
        matches!(self, Self::Drift | Self::Rehearse | Self::Prune)
    }
}

impl Default for Workflows {
    fn default() -> Self {
        Self {
            runner: RUNNER.to_owned(),
            attestations: true,
            released: None,
            schedules: BTreeMap::new(),
            off: Vec::new(),
            hooks: BTreeMap::new(),
        }
    }
}

/// Reads the section.
pub(super) fn workflows(table: &mut Table<'_>) -> Option<Workflows> {
    let mut all = Workflows::default();
    let runner = table
        .optional(key("runner", RUNNER, "The label of the machines that jobs run on.").otherwise(RUNNER), |field| {
            field.text("the label of a runner", check::is_runner)
        });
    let attestations = table.optional(
        key("attestations", "off", "Whether GitHub attests which workflow has built an image.").otherwise("on"),
        |field| field.choice(&[("on", true), ("off", false)]),
    );
    let mut is_sound = true;
    for workflow in Workflow::ALL {
        let read = |field: Field<'_>| {
            if field.is_word("off") {
                all.off.push(workflow);
                return Some(());
            }
            field.table(|table| one(table, workflow, &mut all))
        };
        is_sound &= table.optional(key(workflow.name(), "{ jobs: {} }", workflow.meaning()), read).is_some();
    }
    all.runner = runner?.unwrap_or(all.runner);
    all.attestations = attestations?.unwrap_or(all.attestations);
    is_sound.then_some(all)
}

fn one(table: &mut Table<'_>, workflow: Workflow, all: &mut Workflows) -> Option<()> {
    let schedule = match workflow.is_scheduled() {
        true => table.optional(
            key("schedule", "17 4 * * *", "When the workflow runs, in UTC, as cron takes it.")
                .otherwise("one of the toolkit's"),
            |field| field.text("minute, hour, day, month and day of the week, as cron takes them", check::is_schedule),
        ),
        false => Some(None),
    };
    let released = match workflow {
        Workflow::Deploy => table.optional(
            key("released", "[production]", "The environments that a release is deployed to.")
                .otherwise("those with a stack that runs the service"),
            |field| field.list("production", |item| item.text("the name of an environment", check::is_label)),
        ),
        _ => Some(None),
    };
    let jobs = table.optional(
        key("jobs", JOBS, "Jobs of your own, by their ids, as GitHub takes them.").otherwise("none"),
        |field| field.map("{ steps: [] }", job),
    );
    let mut hooks = Hooks::default();
    let mut is_sound = true;
    for place in workflow.places() {
        match table.optional(
            key(place, STEPS, "Steps of your own at this place of the workflow.").otherwise("none"),
            |field| field.list("{ run: make lint }", |item| step(&item)),
        ) {
            Some(steps) => hooks.steps.extend(steps.map(|steps| (*place, steps))),
            None => is_sound = false,
        }
    }
    hooks.jobs = jobs?.unwrap_or_default();
    all.schedules.extend(schedule?.map(|schedule| (workflow, schedule)));
    all.released = released?.or(all.released.take());
    all.hooks.insert(workflow, hooks);
    is_sound.then_some(())
}

/// A job runs on a machine or calls a workflow; GitHub refuses a file with any other.
fn job(id: &str, field: Field<'_>) -> Option<Value> {
    if !check::is_job(id) {
        return field.refuse_key(
            "not the id of a job: expected letters, digits, `-` and `_`",
            "begin with a letter or `_`; `null`, `true` and `false` are none, either",
        );
    }
    let job = with_one_of(&field, "a job", ["runs-on", "uses"])?;
    let steps = job.get("steps").and_then(Value::as_sequence).into_iter().flatten();
    if let Some(used) = std::iter::once(&job).chain(steps).find_map(moving) {
        return refuse_moving(&field, used);
    }
    Some(job)
}

fn step(field: &Field<'_>) -> Option<Value> {
    let step = with_one_of(field, "a step", ["run", "uses"])?;
    match moving(&step) {
        Some(used) => refuse_moving(field, used),
        None => Some(step),
    }
}

/// What a job or step uses or runs in, if its owner can change what that is: a job has this repository's secrets.
fn moving(of: &Value) -> Option<&Value> {
    let services = of.get("services");
    let each =
        services.and_then(Value::as_mapping).map_or_else(|| Vec::from_iter(services), |all| all.values().collect());
    let mut images = of.get("container").into_iter().chain(each).map(|of| of.get("image").unwrap_or(of));
    let moves = |value: &&Value, is_fixed: fn(&str) -> bool| !value.as_str().is_some_and(is_fixed);
    images
        .find(|image| moves(image, is_fixed_image))
        .or_else(|| of.get("uses").filter(|used| moves(used, is_fixed_use)))
}

fn is_fixed_use(used: &str) -> bool {
    match used.strip_prefix("docker://") {
        Some(image) => is_fixed_image(image),
        None => used.starts_with("./") || used.rsplit_once('@').is_some_and(|(_, commit)| is_hex(commit, 40)),
    }
}

fn is_fixed_image(image: &str) -> bool {
    image.rsplit_once("@sha256:").is_some_and(|(_, digest)| is_hex(digest, 64))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn refuse_moving<T>(field: &Field<'_>, used: &Value) -> Option<T> {
    let used = used.as_str().map_or_else(|| format!("{used:?}"), |used| format!("{used:?}"));
    let fix = "name the commit: owner/name@COMMIT # v1, with all of its 40 digits; an image by its digest: \
               NAME@sha256:DIGEST";
    field.refuse(format!("{used} is not fixed: its owner can move a tag or a branch to other code"), fix)
}

fn with_one_of(field: &Field<'_>, what: &str, keys: [&str; 2]) -> Option<Value> {
    let value = field.yaml()?;
    let Value::Mapping(map) = &value else { return field.expected("a mapping") };
    if keys.iter().filter(|key| map.contains_key(**key)).count() == 1 {
        return Some(value);
    }
    let [one, other] = keys;
    field.refuse(format!("{what} has either `{one}` or `{other}`"), format!("add `{one}:`, or remove one of the two"))
}
