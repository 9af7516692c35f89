//! The commands about stacks.

use clap::{Args, Subcommand};

/// `tofu …`
#[derive(Subcommand, Debug)]
pub enum Tofu {
    /// Get the stack ready: its providers, and the place of its state; other commands do it when something has changed
    #[command(after_help = "Examples:
  cargo xtask tofu init production

State and plans are encrypted by the passphrase TF_STATE_PASSPHRASE, from the environment or .env.<ENV>; so are found the
credentials of providers and bucket (AWS_ACCESS_KEY_ID, SCW_SECRET_KEY, …), and secret variables of the stack (TF_VAR_…).")]
    Init {
        #[command(flatten)]
        stack: StackArg,
    },
    /// Show what would change, and keep it to be applied; exits with 10 when something would
    #[command(after_help = "Examples:
  cargo xtask tofu plan production
  cargo xtask tofu plan production --markdown \"$GITHUB_STEP_SUMMARY\"
  cargo xtask tofu plan production --destroy

Refused (exit code 21) when it would delete, replace or forget what `protect` names in deploy.yaml.

Where deploy.yaml gives the environment `settings`, the stack gets the variables settings, secrets,
release and image of the commit that is checked out; TF_VAR_… and `variables` go before them.")]
    Plan {
        #[command(flatten)]
        stack: StackArg,
        /// Plan to delete everything that the stack has made
        #[arg(long)]
        destroy: bool,
        /// Write the summary there too, as a part of a page
        #[arg(long, value_name = "FILE")]
        markdown: Option<camino::Utf8PathBuf>,
    },
    /// Do what was planned, once somebody has said yes to it
    #[command(after_help = "Examples:
  cargo xtask tofu apply production
  cargo xtask tofu apply production --approve 3f9c2d1a4b7e5f60718293a4b5c6d7e8      as `tofu plan` printed it

Refused (exit code 21) when the plan is too old, or the commit, the state or the plan file is another one than was planned.")]
    Apply {
        #[command(flatten)]
        stack: StackArg,
        /// Say yes to this plan without being asked
        #[arg(long, value_name = "DIGEST")]
        approve: Option<String>,
    },
    /// Show what the stack tells of itself; a sensitive value only by its name
    #[command(after_help = "Examples:
  cargo xtask tofu output production
  cargo xtask tofu output production address")]
    Output {
        #[command(flatten)]
        stack: StackArg,
        /// Only the value of this one
        name: Option<String>,
    },
    /// Look whether the stack's files are sound; takes no credentials
    #[command(after_help = "Examples:
  cargo xtask tofu validate production")]
    Validate {
        #[command(flatten)]
        stack: StackArg,
    },
    /// Take the state's lock away from whoever left it behind
    #[command(after_help = "Examples:
  cargo xtask tofu unlock production --id 5e6c1d0a-9b3f-4a57-8e0b-0a4f2d1c7b11      as the command said that found it locked")]
    Unlock {
        #[command(flatten)]
        stack: StackArg,
        /// The lock's id
        #[arg(long)]
        id: String,
    },
    /// Put the state into its bucket that an apply could not save
    #[command(after_help = "Examples:
  cargo xtask tofu recover production")]
    Recover {
        #[command(flatten)]
        stack: StackArg,
    },
}

/// The environment whose stack a command is about.
#[derive(Args, Debug)]
pub struct StackArg {
    /// An environment of deploy.yaml that has a stack
    #[arg(default_value = "production", value_name = "ENV")]
    pub environment: String,
}
