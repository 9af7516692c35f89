//! `image`: the service as an image.

use clap::{Args, Subcommand};

use super::{Context, EnvironmentArg};
use crate::failure::Failure;
use crate::image::{Images, build, inspect, list, pin, prune, push};

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

Docker's engine builds it, or the buildkitd that BUILDKIT_HOST names. The build gets the file that SSL_CERT_FILE names as
the secret `ca`.")]
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

Credentials: REGISTRY_USERNAME and REGISTRY_PASSWORD, from .env.<ENV> or the environment; else Docker's own.")]
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

/// Delete images that no environment runs and none can go back to
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask image prune production --dry-run
  cargo xtask image prune production --keep 10 --yes")]
pub struct PruneArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Number of newest images to keep beside those that are in use
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    keep: usize,
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

impl Image {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let environment = match &self {
            Self::Build(args) => &args.environment,
            Self::Push(args) => &args.environment,
            Self::List(args) => &args.environment,
            Self::Inspect(args) => &args.environment,
            Self::Prune(args) => &args.environment,
            Self::Pin(args) => &args.environment,
        };
        let env = context.env(&environment.environment)?;
        let images = Images::find(&env)?;
        match self {
            Self::Build(args) => build::build(&images, args.no_cache).await,
            Self::Push(_) => push::push(&images).await,
            Self::List(_) => list::list(&images).await,
            Self::Inspect(args) => inspect::inspect(&images, args.reference.as_deref()).await,
            Self::Prune(PruneArgs { keep, dry_run, yes, .. }) => {
                prune::prune(&images, prune::How { keep, dry_run, yes }).await
            }
            Self::Pin(args) => pin::pin(&images, args.check).await,
        }
    }
}
