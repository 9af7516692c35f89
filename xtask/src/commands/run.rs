//! `run`

#[cfg(feature = "cloud")]
mod job;

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::{Context, EnvironmentArg};
use crate::deploy::run::take_lease;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::MediaSettings;
use crate::report::Step;
use crate::state::history::{self, Record};
use crate::targets::{Local, Target};

/// Run the deployed program once more beside the service, with its settings and secrets and other arguments
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask run -- config check
  cargo xtask run local -- migrate
  cargo xtask run production -- migrate

The program is that of the release which went live last. The exit code is the program's own.

On this machine a deploy is locked out until the program has started. It runs in the release's folder, as the service's user, with the settings of its deploy and today's secrets; the \
database is started if it does not run. Standard input and output are the program's own. Where `service.command` of deploy.yaml runs \
the service, the arguments are a whole command: cargo xtask run -- node migrate.js
Where `service.image` is set, it is a container of its own: the arguments take the place of the image's own, it has no standard input, \
and its standard error is shown on standard output.

On a Docker host it is a container of its own, with the service's limits and folders of data, and today's secrets. It has no standard \
input.

On Scaleway it is a job of Serverless Jobs: the released image with the container's settings, processor and memory, and with the \
arguments for its entry point. It has no standard input. Its secrets are the ones that the release was deployed with, and are in Secret \
Manager while it runs. Its lines are shown where COCKPIT_LOGS_URL and COCKPIT_TOKEN are set (`logs --help`). Ctrl-C stops it. The key \
SCW_SECRET_KEY needs the permission sets ServerlessJobsFullAccess and SecretManagerFullAccess in the container's project.

At Easypanel it is a container of its own on the machine that `host` of deploy.yaml names, beside the container of the first service: with \
its network, volumes and limits, its other variables, and today's secrets. It has no standard input. A deploy that replaces \
that container cuts its network.")]
pub struct RunArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// The program's arguments
    #[arg(last = true, required = true, value_name = "ARGUMENTS")]
    args: Vec<String>,
}

impl RunArgs {
    /// Runs the command. On this machine it returns only if that fails: this process becomes the program.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        let target = Target::of(env);
        match &target {
            Target::Local(local) => {
                let run = Box::pin(self.here(env, &target, local));
                context.stop.cancels("nothing is left half done", run).await
            }
            Target::Host(host) => {
                let record = context.stop.cancels("nothing was started", live(env)).await?;
                Box::pin(host.run(&record, &self.args)).await
            }
            Target::Easypanel(panel) => {
                let record = context.stop.cancels("nothing was started", live(env)).await?;
                Box::pin(panel.run(&record, &self.args)).await
            }
            // In order by itself when a stop is requested.
            #[cfg(feature = "cloud")]
            Target::Stack(stack) => Box::pin(job::run(env, stack, &self.args)).await,
            #[cfg(not(feature = "cloud"))]
            Target::Stack(stack) => Err(stack.unsupported("`run`")),
        }
    }

    async fn here(&self, env: &Env<'_>, target: &Target<'_>, local: &Local<'_>) -> Result<(), Failure> {
        let record = live(env).await?;
        let published = local.published(&record).await?;
        // A deploy makes the same things.
        let lease = take_lease(env, format!("run {}", env.name())).await?; // Locked → 20
        let settings = env
            .report
            .step(Step::Provision, async |step| target.provision(&MediaSettings::default(), step).await)
            .await;
        lease.release().await?;
        let settings = settings?.with_plain(&record.settings);
        let mut command = local.one_off(&published, &settings, &self.args).await?;
        env.report.end()?;
        let error = command.exec();
        Err(error).with_context(|| format!("start {}", command.get_program().display())).map_err(Failure::from)
    }
}

/// The record of the release that went live last.
async fn live(env: &Env<'_>) -> Result<Record, Failure> {
    let name = env.name();
    let record = history::live(env.store()?).await?;
    Ok(record.ok_or_else(|| anyhow!("nothing was deployed to {name} yet; type: cargo xtask deploy {name}"))?)
}
