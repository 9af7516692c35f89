//! `run`

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::{Context, EnvironmentArg};
use crate::deploy::run::take_lease;
use crate::failure::Failure;
use crate::report::Step;
use crate::state::history;
use crate::targets::Target;

/// Run the deployed program once more beside the service, with its settings and secrets and other arguments
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask run -- config check
  cargo xtask run local -- migrate

The program is that of the release which went live last. It runs in the release's folder, as the service's user, with the settings of \
its deploy and today's secrets; the database is started if it does not run. Standard input, output and the exit code are the \
program's own. A deploy is locked out only until the program has started.")]
pub struct RunArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// The program's arguments
    #[arg(last = true, required = true, value_name = "ARGUMENTS")]
    args: Vec<String>,
}

impl RunArgs {
    /// Runs the command. Returns only if that fails: this process becomes the program.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        let (name, target) = (env.name(), Target::of(env));
        let local = target.local("`run`")?;
        let record = history::live(env.store()?).await?;
        let record =
            record.ok_or_else(|| anyhow!("nothing was deployed to {name} yet; type: cargo xtask deploy {name}"))?;
        let published = local.published(&record)?;
        // A deploy makes the same things.
        let lease = take_lease(env, format!("run {name}")).await?; // Locked → 20
        let settings = env.report.step(Step::Provision, async |step| target.provision(step).await).await;
        lease.release().await?;
        let settings = settings?.with_plain(&record.settings);
        let mut command = local.one_off(&published, &settings, &self.args).await?;
        env.report.end()?;
        let error = command.exec();
        Err(error).with_context(|| format!("start {}", command.get_program().display())).map_err(Failure::from)
    }
}
