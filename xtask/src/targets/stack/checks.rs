//! Checks of a stack: its program, passphrase, state bucket, settings and providers.

use crate::bootstrap;
use crate::check::Check;
use crate::config::{Stack, StackProgram};
use crate::env::Env;
use crate::failure::Failure;
use crate::tofu::{LOCK_FILE, PASSPHRASE, passphrase};
use crate::tools::{git, tofu};

/// Every check of an environment's stack; none if it has no stack.
pub async fn checks(env: &Env<'_>) -> Result<Vec<Check>, Failure> {
    let Some(stack) = env.environment.stack() else { return Ok(Vec::new()) };
    let mut checks = vec![program(stack).await];
    if stack.state.encrypted {
        checks.push(match passphrase(env) {
            Ok(_) => Check::good("passphrase", format!("{PASSPHRASE} has a value")),
            Err(failure) => Check::failed("passphrase", failure),
        });
    }
    checks.push(bootstrap::state::check(env).await);
    checks.extend(settings(env));
    checks.push(providers(env, stack).await);
    Ok(checks)
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
fn settings(env: &Env<'_>) -> Option<Check> {
    env.environment.settings.as_ref()?;
    let resolved = match super::settings::resolve(env) {
        Ok(resolved) => resolved,
        Err(failure) => return Some(Check::failed("settings", failure)),
    };
    let settings = &resolved.settings;
    let found =
        format!("{} settings and {} secrets for the service", settings.plain.len(), settings.secrets.iter().count());
    if resolved.missing.is_empty() {
        return Some(Check::good("settings", found));
    }
    let missing = resolved.missing.join(", ");
    Some(Check::doubtful(
        "settings",
        format!("{found}; the service requires {missing}: check that the stack sets them"),
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
