//! `dev`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::deploy::run::take_lease;
use crate::dev::develop;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Step;
use crate::targets::{Development, Local, Target};
use crate::web::{self, Decision};

/// Run the service and its web UI for development, and build what is changed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask dev
  cargo xtask dev --json      lines as events

The service is compiled for debugging and started again when a file of the project has changed that git does not ignore. Its web UI \
is served by the script `dev` of its package.json, which gets the service's address in the variable SERVICE_URL and reloads what is \
changed by itself.

The service has the settings and secrets of the deploy, but a database (NAME_development in the same PostgreSQL), folders \
(.deploy/ENV/development) and a port of its own: nothing that is tried out reaches the release that serves. Queries are compiled \
against .sqlx.

Ctrl-C ends both, and the PostgreSQL if nothing is deployed that needs it.")]
pub struct DevArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl DevArgs {
    /// Runs the command. It ends by Ctrl-C.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        if env.config.service.image {
            return Err(Failure::Usage(anyhow!(
                "`dev` builds and starts a cargo package, and deploy.yaml has `service.image`; run what the Dockerfile runs by yourself"
            )));
        }
        if env.config.service.command.is_some() {
            return Err(Failure::Usage(anyhow!(
                "`dev` builds and starts a cargo package, and deploy.yaml has a `service.command`; run that in the project's folder"
            )));
        }
        let target = Target::of(env);
        let local = target.local("`dev`")?;
        let web = match web::decide(env.config).await? {
            Some(Decision::Build(_)) => env.config.service.web.as_deref(),
            Some(Decision::Off(why)) => {
                env.report.warn(&format!("the web UI is off: {why}"));
                None
            }
            None => None,
        };
        let development = env.stop.cancels("nothing was started", Box::pin(provision(env, local))).await?;
        let show = |from: &str, line: &str| {
            env.report.result(json!({ "from": from, "line": line }), &format!("{from:<7} | {line}"));
        };
        let ended = Box::pin(develop(env, &development, web, show)).await;
        // A deploy that is under way may have started it, too.
        if let Ok(lease) = take_lease(env, format!("end dev {}", env.name())).await {
            let stopped = local.stop_idle_postgres().await;
            lease.release().await?;
            stopped?;
        }
        ended
    }
}

async fn provision(env: &Env<'_>, local: &Local<'_>) -> Result<Development, Failure> {
    // A deploy makes the same things.
    let lease = take_lease(env, format!("dev {}", env.name())).await?; // Locked → 20
    let provide = async |step: &_| Ok(local.provision_development(step).await?);
    let provided = env.report.step(Step::Provision, provide).await;
    lease.release().await?;
    provided
}
