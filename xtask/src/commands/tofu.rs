//! `tofu`: an environment's OpenTofu stack. The command line is here; what it runs is compiled with the feature `cloud` only.

#[cfg(feature = "cloud")]
mod run;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::StackArg;

/// `tofu …`
#[derive(Subcommand, Debug)]
pub enum Tofu {
    Init(InitArgs),
    Plan(PlanArgs),
    Apply(ApplyArgs),
    Output(OutputArgs),
    Validate(ValidateArgs),
    Unlock(UnlockArgs),
    Recover(RecoverArgs),
}

/// Initialize the stack's backend and providers; other commands do it when something has changed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu init production

The passphrase TF_STATE_PASSPHRASE encrypts state and plans. It comes from .env.<ENV>, else from the environment, and so do \
the credentials of providers and bucket (AWS_ACCESS_KEY_ID, SCW_SECRET_KEY, …) and secret variables of the stack (TF_VAR_…).")]
pub struct InitArgs {
    #[command(flatten)]
    stack: StackArg,
}

/// Show what would change, and keep the plan to be applied; exits with 10 when something would change
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu plan production
  cargo xtask tofu plan production --markdown \"$GITHUB_STEP_SUMMARY\"
  cargo xtask tofu plan production --destroy

Refused (exit code 21) when it would delete, replace or forget what `protect` names in deploy.yaml.

The plan is kept beside the state, encrypted, so it can be applied on another machine that has the same commit checked out.

Where deploy.yaml gives the environment `settings`, the stack gets the variables settings, secrets, \
release and image of the checked-out commit. `variables` and TF_VAR_… override these. The image must be signed: \
built by `image push` on a machine that has the same TF_STATE_PASSPHRASE.

Asks the platform about what OpenTofu does not see: warns of a custom domain at Scaleway that is not ready, \
and fails (exit code 1) when an R2 bucket is open at its r2.dev subdomain and the stack closes it.")]
pub struct PlanArgs {
    #[command(flatten)]
    stack: StackArg,
    /// Plan to delete everything that the stack has made
    #[arg(long)]
    destroy: bool,
    /// Plan with the image of this digest, as `image push` printed it on another machine, whatever its signature
    #[arg(long, value_name = "DIGEST")]
    image: Option<String>,
    /// Write the summary to this file too, as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<Utf8PathBuf>,
    /// In a job of a pull request: show the plan as one comment there, which later runs replace, and keep no plan
    #[arg(long, conflicts_with = "destroy")]
    comment: bool,
}

/// Apply the kept plan, after approval
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu apply production
  cargo xtask tofu apply production --approve 3f9c2d1a4b7e5f60718293a4b5c6d7e8      as `tofu plan` printed it

Refused (exit code 21) when the plan is too old, or when the commit, the state or the plan file differs from what was planned.")]
pub struct ApplyArgs {
    #[command(flatten)]
    stack: StackArg,
    /// Approve the plan with this digest without being asked
    #[arg(long, value_name = "DIGEST")]
    approve: Option<String>,
}

/// Show the stack's outputs; a sensitive value only by its name
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu output production
  cargo xtask tofu output production address")]
pub struct OutputArgs {
    #[command(flatten)]
    stack: StackArg,
    /// Print only the value of this output
    name: Option<String>,
}

/// Check the stack's files; needs no credentials
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu validate production")]
pub struct ValidateArgs {
    #[command(flatten)]
    stack: StackArg,
}

/// Remove a lock that an interrupted command left on the state
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu unlock production --id 5e6c1d0a-9b3f-4a57-8e0b-0a4f2d1c7b11      the id that the refused command printed")]
pub struct UnlockArgs {
    #[command(flatten)]
    stack: StackArg,
    /// The lock's id
    #[arg(long)]
    id: String,
}

/// Push the state that an apply could not save to its bucket
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask tofu recover production")]
pub struct RecoverArgs {
    #[command(flatten)]
    stack: StackArg,
}
