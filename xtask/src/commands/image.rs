//! `image`: builds, pushes, lists and prunes the service's image. The command line is here; what it runs is compiled with the
//! feature `cloud` only.

#[cfg(feature = "cloud")]
mod run;

use clap::{Args, Subcommand};

use super::EnvironmentArg;

/// `image …`
#[derive(Subcommand, Debug)]
pub enum Image {
    Build(BuildArgs),
    Push(PushArgs),
    List(ListArgs),
    Inspect(InspectArgs),
    Prune(PruneArgs),
    Pin(PinArgs),
}

/// Build the image of the checked-out commit, unless it exists already
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask image build                 into this machine's Docker engine
  cargo xtask image build production      as it will be pushed, within the target's limits

Docker's engine builds it, or the buildkitd that BUILDKIT_HOST names. The file that SSL_CERT_FILE names is available to the \
build as the secret `ca`.")]
pub struct BuildArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Build every layer again
    #[arg(long)]
    no_cache: bool,
}

/// Push the image of the checked-out commit to the environment's registry; build it first if it is missing
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask image push production
  cargo xtask image push production --json | tail -1      the digest

Credentials: REGISTRY_USERNAME and REGISTRY_PASSWORD for the registry REGISTRY_HOST, from .env.<ENV>, else from the environment; \
else those of Docker. An image that another machine built is used when both have the same TF_STATE_PASSPHRASE.")]
pub struct PushArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

/// List the images of this service in the registry, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask image list production")]
pub struct ListArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

/// Show an image: digest, labels, and the size of each layer
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask image inspect production
  cargo xtask image inspect production latest")]
pub struct InspectArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// A tag or digest; by default the checked-out commit
    reference: Option<String>,
}

/// Delete images that no environment runs and no rollback needs
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask image prune production --dry-run
  cargo xtask image prune production --keep 10 --yes

Reads the deploy records of every environment that shares the repository. Nothing is deleted when the records of one of them \
cannot be read, or show no live release (exit code 21).")]
pub struct PruneArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Number of newest images to keep beside those that are in use
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    keep: usize,
    /// ENV was never deployed, so none of its images is in use
    #[arg(long, value_name = "ENV")]
    never_deployed: Vec<String>,
    /// Show what would be deleted and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Write the digests of the base images, as their registries report them, into image.lock
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask image pin
  cargo xtask image pin production      where the base images are in that environment's registry
  cargo xtask image pin --check         exits with 10 when a base image has a newer digest")]
pub struct PinArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Change nothing; exit with 10 when image.lock is not up to date
    #[arg(long)]
    check: bool,
}
