//! The environment's lease, and what to do about the command that holds it.

use anyhow::anyhow;

use crate::env::Env;
use crate::failure::Failure;
use crate::state::lease::{Holder, Lease, TakeError};

/// Takes the environment's lease alone, for what is over in a moment and leaves no record.
pub async fn take_lease(env: &Env<'_>, message: String) -> Result<Lease, Failure> {
    let (lease, previous) = match Lease::take(env.store()?, Holder::this_process(message)).await {
        Ok(taken) => taken,
        Err(TakeError::Held(holder)) => return Err(locked(env.name(), &holder)),
        Err(TakeError::Broken(error)) => return Err(error.context("take the lease").into()),
    };
    if let Some(gone) = previous {
        let since = gone.since.strftime("%Y-%m-%d %H:%M:%SZ");
        env.report
            .note(&format!("took the lease over from {}, who is gone (\"{}\", since {since})", gone.who, gone.message));
    }
    Ok(lease)
}

fn locked(environment: &str, holder: &Holder) -> Failure {
    let pid = holder.process.pid;
    let next = if holder.process.is_known_stopped() {
        format!(
            "process {pid} is stopped, as by Ctrl-Z, and holds the environment until it ends; to let it go on, type: kill -CONT {pid}"
        )
    } else {
        format!("wait for it; if that process is certainly gone, type: cargo xtask lock break {environment}")
    };
    Failure::Locked(anyhow!(
        "{environment} is locked: {who} is running \"{message}\" since {since} (toolkit {version}, process {pid})\n  {next}",
        who = holder.who,
        message = holder.message,
        since = holder.since.strftime("%Y-%m-%d %H:%M:%SZ"),
        version = holder.version,
    ))
}
