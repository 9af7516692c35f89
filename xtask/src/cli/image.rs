//! The commands about images.

use clap::Subcommand;

use super::EnvironmentArg;

/// `image …`
#[derive(Subcommand, Debug)]
pub enum Image {
    /// Build the image of the checked-out commit, unless it is there already
    #[command(after_help = "Examples:
  cargo xtask image build                 into this machine's Docker engine
  cargo xtask image build production      as it will be pushed, within the target's limits

Builds by the Docker engine, or by the buildkitd that BUILDKIT_HOST names. The bundle that SSL_CERT_FILE names reaches
the build as secret `ca`.")]
    Build {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// Build every layer anew
        #[arg(long)]
        no_cache: bool,
    },
    /// Put the image of the checked-out commit into the environment's registry; build it first where it is missing
    #[command(after_help = "Examples:
  cargo xtask image push production
  cargo xtask image push production --json | tail -1      the digest

Credentials: REGISTRY_USERNAME and REGISTRY_PASSWORD, from the environment or .env.<ENV>; else Docker's own.")]
    Push {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// List what the registry holds of this service, newest first
    #[command(after_help = "Examples:
  cargo xtask image list production")]
    List {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Show an image: digest, labels, what takes the space
    #[command(after_help = "Examples:
  cargo xtask image inspect production
  cargo xtask image inspect production latest")]
    Inspect {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// A tag or digest; the checked-out commit if nothing is said
        reference: Option<String>,
    },
    /// Delete images that nothing runs and nothing can go back to
    #[command(after_help = "Examples:
  cargo xtask image prune production --dry-run
  cargo xtask image prune production --keep 10 --yes")]
    Prune {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// How many of the newest are kept beside those that are in use
        #[arg(long, default_value_t = 5, value_name = "COUNT")]
        keep: usize,
        /// Say what would be deleted and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Write the digests of the base images into image.lock, as their registries tell them
    #[command(after_help = "Examples:
  cargo xtask image pin
  cargo xtask image pin production      where the base images are in that environment's registry
  cargo xtask image pin --check         exits with 10 when there is a newer base image")]
    Pin {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// Change nothing; tell whether a newer digest is there
        #[arg(long)]
        check: bool,
    },
}
