//! One job: its steps in their order.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use secrecy::ExposeSecret as _;

use super::checkout::{Checkout, real_cargo};
use super::contexts::{JobContexts, Known};
use super::expression::{holds, interpolate};
use super::files::Files;
use super::oidc::Issuer;
use super::workflow::{Job, Step};
use super::{Ended, Outcome};
use crate::failure::Failure;
use crate::report::Report;
use crate::tools::cmd::{Cmd, Inherited};
use crate::tools::platform::{path_folders, variable};

/// How the network is reached: a runner has that too.
const NETWORK: [&str; 8] =
    ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Runs a job to its end. Fails before the first step where the environment lacks what the job takes.
pub async fn run_job(
    known: &Known<'_>,
    job: &Job,
    mut contexts: JobContexts<'_>,
    checkout: &Checkout,
    report: &Report,
    all_steps: bool,
) -> Result<Ended, Failure> {
    let runs = |step: &&Step| step.run.is_some() && (all_steps || step.runs_toolkit());
    let missing = contexts.missing(job.steps.iter().filter(runs))?;
    if let Some(name) = contexts.environment_name()
        && !missing.is_empty()
    {
        return Err(Failure::Refused(anyhow!(
            "the job {} takes these, and .env.{name} has no value of them: {}\n  what each is: .env.{name}.example",
            job.id,
            missing.join(", ")
        )));
    }
    report.redactor().learn(contexts.secrets());
    let issuer = match job.has_identity() {
        true => Some(Issuer::start(contexts.claims()).await?),
        false => None,
    };
    let mut runner = runner(known, job, &contexts, checkout, issuer.as_ref())?;
    let mut ended = Ended { job: job.id.clone(), steps: Vec::new(), outputs: BTreeMap::new() };
    for step in &job.steps {
        let title = step.title().to_owned();
        let outcome = match &step.run {
            None => Outcome::Skipped("an action runs at GitHub only"),
            Some(_) if !all_steps && !step.runs_toolkit() => Outcome::Skipped("it does not run the toolkit"),
            Some(_) if !step.condition.as_deref().map_or(Ok(!contexts.failed), |it| holds(it, &contexts))? => {
                Outcome::Skipped("its condition does not hold")
            }
            Some(script) => {
                report.note(&title);
                let files = Files::new(&checkout.files)?;
                let own = contexts.environment_of(step)?;
                let done = run_script(script, step, &runner, &own, &files, checkout, report).await;
                runner.extend(files.environment()?);
                if let Some(id) = &step.id {
                    contexts.steps.insert(id.clone(), files.outputs()?.into_iter().collect());
                }
                files.summary()?.lines().for_each(|line| report.detail(line));
                match done {
                    Ok(()) => Outcome::Done,
                    Err(error) => {
                        contexts.failed = true;
                        Outcome::Failed(format!("{error:#}"))
                    }
                }
            }
        };
        if let Outcome::Skipped(why) = outcome {
            report.note(&format!("{title}: skipped, {why}"));
        }
        ended.steps.push((title, outcome));
    }
    for (name, text) in &job.outputs {
        ended.outputs.insert(name.clone(), interpolate(text, &contexts)?);
    }
    Ok(ended)
}

/// A script, as GitHub's runner runs it without a `shell`.
async fn run_script(
    script: &str,
    step: &Step,
    runner: &[(String, String)],
    own: &[(String, String)],
    files: &Files,
    checkout: &Checkout,
    report: &Report,
) -> Result<()> {
    let place = checkout.files.join("script.sh");
    fs_err::write(&place, script)?;
    let folder =
        step.working_directory.as_ref().map_or_else(|| checkout.root.clone(), |folder| checkout.root.join(folder));
    let mut bash = Cmd::new("bash").args(["-e", place.as_str()]).dir(folder).inherits(Inherited::Nothing);
    for (name, path) in files.variables() {
        bash = bash.env(name, path.as_str());
    }
    for (name, value) in runner.iter().chain(own) {
        bash = bash.env(name, value);
    }
    bash.run_lines(|line| report.detail(line)).await
}

/// What every step of the job has: the runner's variables, and where this machine keeps programs.
fn runner(
    known: &Known<'_>,
    job: &Job,
    contexts: &JobContexts<'_>,
    checkout: &Checkout,
    issuer: Option<&Issuer>,
) -> Result<Vec<(String, String)>> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    for (name, value) in &known.github {
        set(&format!("GITHUB_{}", name.to_uppercase()), value);
    }
    // A stand-in of GitHub, in a rehearsal.
    for name in ["GITHUB_API_URL", "GITHUB_SERVER_URL"] {
        if let Some(value) = variable(name) {
            set(name, &value);
        }
    }
    let folders: Vec<String> = path_folders().into_iter().map(|folder| folder.to_string()).collect();
    let home = variable("HOME").context("HOME is not set")?;
    let of_home = |name: &str, folder: &str| variable(name).unwrap_or_else(|| format!("{home}/{folder}"));
    for (name, value) in [
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", contexts.event),
        ("GITHUB_JOB", &job.id),
        ("RUNNER_OS", if cfg!(target_os = "macos") { "macOS" } else { "Linux" }),
        ("RUNNER_ARCH", if cfg!(target_arch = "aarch64") { "ARM64" } else { "X64" }),
        ("RUNNER_TEMP", checkout.files.as_str()),
        ("LANG", "C.UTF-8"),
        ("HOME", checkout.home.as_str()),
        ("PATH", &format!("{}:{}", checkout.programs, folders.join(":"))),
        ("CARGO", real_cargo().as_deref().map_or("cargo", |path| path.as_str())),
        ("CARGO_HOME", &of_home("CARGO_HOME", ".cargo")),
        ("RUSTUP_HOME", &of_home("RUSTUP_HOME", ".rustup")),
        ("XDG_CACHE_HOME", &of_home("XDG_CACHE_HOME", ".cache")),
    ] {
        set(name, value);
    }
    for name in NETWORK {
        if let Some(value) = variable(name) {
            set(name, &value);
        }
    }
    for (name, value) in known.variables {
        set(name, value);
    }
    if let Some(issuer) = issuer {
        set("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.request_url());
        set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", issuer.bearer().expose_secret());
    }
    Ok(all)
}
