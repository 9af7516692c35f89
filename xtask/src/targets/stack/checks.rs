//! Checks of a stack: its program, passphrase, state bucket, settings, providers, and the platform's API and logs.

use std::time::Duration;

use crate::bootstrap;
use crate::check::Check;
use crate::config::{Stack, StackProgram, Target};
use crate::env::Env;
use crate::failure::Failure;
use crate::image::provenance;
use crate::settings;
use crate::tofu::{LOCK_FILE, PASSPHRASE, passphrase, rehearsed, unseen};
use crate::tools::{git, tofu};

/// How long the platform is waited for: a deploy works without its API and its logs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every check of an environment's stack and of the one of its media; none if it has no stack.
pub async fn checks(env: &Env<'_>) -> Result<Vec<Check>, Failure> {
    Ok([of_service(env), of_stack(env).await?, of_media(env).await?].concat())
}

/// What is set for the service in vain. Nothing where the table of settings cannot be read: what takes it says so.
fn of_service(env: &Env<'_>) -> Vec<Check> {
    let Ok(table) = settings::table(env) else { return Vec::new() };
    let mut checks = settings::unknown::checks(env, &table);
    // For the other targets, the check of a release's settings says it.
    if let Target::Compose(_) = env.environment.target {
        let problems = table.check(env.environment).into_iter();
        checks.extend(problems.map(|problem| Check::bad("settings", problem.to_string(), "correct deploy.yaml")));
    }
    checks
}

/// Every check of the stack of the media; none if there is none.
pub async fn of_media(env: &Env<'_>) -> Result<Vec<Check>, Failure> {
    let Some(media) = env.media() else { return Ok(Vec::new()) };
    let checks = Box::pin(of_stack(&media)).await?.into_iter();
    Ok(checks.map(|check| Check { found: format!("{}: {}", media.name(), check.found), ..check }).collect())
}

async fn of_stack(env: &Env<'_>) -> Result<Vec<Check>, Failure> {
    let Some(stack) = env.environment.stack() else { return Ok(Vec::new()) };
    let mut checks = vec![program(stack).await];
    if stack.state.encrypted {
        checks.push(match passphrase(env) {
            Ok(_) => Check::good("passphrase", format!("{PASSPHRASE} has a value")),
            Err(failure) => Check::failed("passphrase", failure),
        });
    }
    let (state, api, logs) = tokio::join!(Box::pin(bootstrap::state::check(env)), platform(env), logs(env));
    checks.push(state);
    checks.extend(of_settings(env));
    checks.extend(provenance::check(env).await);
    checks.extend(api);
    // That none are set is doctor's to say: some read them elsewhere.
    checks.extend(logs.filter(|_| has_logs(env)));
    checks.push(providers(env, stack).await);
    Ok(checks)
}

/// What only `doctor` says of a stack.
pub async fn of_doctor(env: &Env<'_>) -> Vec<Check> {
    let logs = if has_logs(env) { None } else { logs(env).await };
    logs.into_iter().chain(env.environment.stack().map(rehearsed_versions)).collect()
}

/// Whether the key for the platform's API works. None if the stack runs no service.
async fn platform(env: &Env<'_>) -> Option<Check> {
    env.environment.settings.as_ref()?;
    let name = env.name();
    let api = match unseen::containers(env, "fr-par/none") {
        Ok((api, _)) => api,
        Err(error) => {
            let what = "the gate does not ask the platform, `status` shows no more than the service says, and `run` is refused";
            return Some(Check::doubtful("platform", format!("{error:#}; until then {what}")));
        }
    };
    Some(match tokio::time::timeout(PATIENCE, api.accepts_key()).await {
        Ok(Ok(true)) => Check::good("platform", "Scaleway's API accepts SCW_SECRET_KEY"),
        Ok(Ok(false)) => Check::bad(
            "platform",
            "Scaleway's API does not know SCW_SECRET_KEY",
            format!("put the secret key of an API key of Scaleway into .env.{name}"),
        ),
        Ok(Err(error)) => Check::doubtful("platform", format!("Scaleway's API: {error}")),
        Err(_) => Check::doubtful("platform", format!("Scaleway's API did not answer within {} s", PATIENCE.as_secs())),
    })
}

fn has_logs(env: &Env<'_>) -> bool {
    ["COCKPIT_LOGS_URL", "COCKPIT_TOKEN"].iter().any(|name| env.value(name).is_ok_and(|value| value.is_some()))
}

/// Whether the logs can be read. None if the stack runs no service.
async fn logs(env: &Env<'_>) -> Option<Check> {
    env.environment.settings.as_ref()?;
    Some(match tokio::time::timeout(PATIENCE, super::log::check(env)).await {
        Ok(Ok(Some(()))) => Check::good("logs", "Cockpit accepts COCKPIT_TOKEN"),
        Ok(Ok(None)) => Check::doubtful(
            "logs",
            format!(
                "COCKPIT_LOGS_URL and COCKPIT_TOKEN have no value, so `logs` is refused and the record of a failed release has no log \
                 lines; put both into .env.{} (mode 0600)",
                env.name()
            ),
        ),
        Ok(Err(failure)) => Check::doubtful("logs", format!("the logs cannot be read: {:#}", failure.into_error())),
        Err(_) => Check::doubtful("logs", format!("Cockpit did not answer within {} s", PATIENCE.as_secs())),
    })
}

/// Whether `rehearse` has the schemas of the providers that the stack pins.
fn rehearsed_versions(stack: &Stack) -> Check {
    match rehearsed::differences(&stack.folder) {
        Ok(None) => Check::good("rehearsal", "the stack pins no providers"),
        Ok(Some(lines)) if lines.is_empty() => {
            Check::good("rehearsal", "`rehearse` has the schemas of the pinned providers")
        }
        Ok(Some(lines)) => Check::doubtful("rehearsal", lines.join("\n")),
        Err(error) => Check::doubtful("rehearsal", format!("{LOCK_FILE} cannot be compared: {error:#}")),
    }
}

async fn program(stack: &Stack) -> Check {
    let fix = match stack.program {
        StackProgram::Tofu => "cargo xtask setup; or install OpenTofu: https://opentofu.org/docs/intro/install",
        StackProgram::Terraform => "install Terraform 1.11 or newer, or write `program: tofu`",
    };
    let found = |found: tofu::Found| format!("{}, {}", found.version, found.program);
    Check::of(tofu::name(stack.program), tofu::find(stack.program).await, found, fix)
}

/// None if the stack runs no service.
fn of_settings(env: &Env<'_>) -> Option<Check> {
    env.environment.settings.as_ref()?;
    let resolved = match super::settings::resolve(env, None) {
        Ok(resolved) => resolved,
        Err(failure) => return Some(Check::failed("settings", failure)),
    };
    let settings = &resolved.settings;
    let found =
        format!("for the service: {} plain settings, {} secret", settings.plain.len(), settings.secrets.iter().count());
    if resolved.missing.is_empty() {
        return Some(Check::good("settings", found));
    }
    let missing = resolved.missing.join(", ");
    Some(Check::doubtful(
        "settings",
        format!("{found}; it requires {missing}, too: put the values into {}, unless the stack sets them", env.file()),
    ))
}

async fn providers(env: &Env<'_>, stack: &Stack) -> Check {
    let (lock_file, name) = (stack.folder.join(LOCK_FILE), env.name());
    match git::show(env.root(), "HEAD", lock_file.as_str()).await {
        Ok(Some(_)) => Check::good("providers", format!("pinned by {lock_file}")),
        _ => Check::doubtful(
            "providers",
            format!(
                "{lock_file} is not committed, so the providers are not pinned; create it and commit it: \
                 cargo xtask tofu init {name}"
            ),
        ),
    }
}
