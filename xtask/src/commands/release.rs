//! `release`: makes, lists, checks, promotes and prunes releases at GitHub. The command line is here; what it runs is compiled with the feature
//! `cloud` only.

#[cfg(feature = "cloud")]
mod run;

use clap::{Args, Subcommand};

use super::StackArg;

/// `release …`
#[derive(Subcommand, Debug)]
pub enum ReleaseCommand {
    Create(CreateArgs),
    List(ListArgs),
    Show(ShowArgs),
    Check(CheckArgs),
    Promote(PromoteArgs),
    Prune(PruneArgs),
}

/// Make the pre-release of the checked-out commit of the main branch, or complete it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask release create production

The pre-release has the tag build-<date>-<commit> and names the image of the commit, which the registry of ENV must have: \
cargo xtask image push. A second run makes what is missing and changes nothing else.

Token: GH_TOKEN, else GITHUB_TOKEN, from .env.<ENV>, else from the environment, with the permission contents: write.")]
pub struct CreateArgs {
    #[command(flatten)]
    environment: StackArg,
}

/// List the releases, newest first, and what the environments need them for
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask release list production
  cargo xtask release list production --lines 100 --json")]
pub struct ListArgs {
    #[command(flatten)]
    environment: StackArg,
    /// How many to list
    #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT")]
    lines: usize,
}

/// Show a release: its image, migrations and notes, and whether it can be promoted
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask release show build-20261129-0123456789ab
  cargo xtask release show build-20261129-0123456789ab staging")]
pub struct ShowArgs {
    /// The release's tag
    tag: String,
    #[command(flatten)]
    environment: StackArg,
}

/// Check whether a release can be deployed now, and change nothing
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask release check build-20261129-0123456789ab
  cargo xtask release check build-20261129-0123456789ab staging --json
  cargo xtask release check build-20261129-0123456789ab --checked-out     in a checkout of the tag

Checks what `release promote` checks. Where the release's commit is checked out, it also compares the image that a deploy of it runs with \
the digest in release.json. The workflow `deploy` does so before it plans and before it applies. Refused with exit code 21.

Token: GH_TOKEN, else GITHUB_TOKEN, from .env.<ENV>, else from the environment, with the permissions contents, actions, checks and \
statuses: read.")]
pub struct CheckArgs {
    /// The release's tag
    tag: String,
    #[command(flatten)]
    environment: StackArg,
    /// Allow a release that does not descend from what is deployed
    #[arg(long)]
    allow_older: bool,
    /// Refuse where another commit than the release's is checked out, because a deploy is of what is checked out
    #[arg(long)]
    checked_out: bool,
}

/// Make a pre-release the release that is deployed, which starts the deploy workflow
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask release promote build-20261129-0123456789ab --follow
  cargo xtask release promote build-20261129-0123456789ab staging
  cargo xtask release promote            pick one from a list, at a terminal, for production

The workflow deploys it to ENV. First it checks that the registry has the image, that the commit's checks passed, that the commit descends from the one that is \
deployed, and that the release knows every migration of the database. Refused otherwise (exit code 21); `release check` checks the same and \
changes nothing. The workflow checks it once more.

Token: RELEASE_TOKEN, else GH_TOKEN, from .env.<ENV>, else from the environment, with the permission contents: write. Not the \
GITHUB_TOKEN of a workflow: GitHub starts no workflow for what that does.")]
pub struct PromoteArgs {
    /// The release's tag; without one, it is picked from a list
    tag: Option<String>,
    #[command(flatten)]
    environment: StackArg,
    /// Promote a release that does not descend from what is deployed, and say so in its notes
    #[arg(long)]
    allow_older: bool,
    /// Follow the workflow that deploys it, and end as it ends
    #[arg(long)]
    follow: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Delete pre-releases, with their tags, that no environment runs and no rollback needs
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask release prune production --dry-run
  cargo xtask release prune production --keep 50 --yes

Reads the deploy records of every environment with a stack. Releases that were promoted stay, and so do those whose tag the toolkit \
did not make. Nothing is deleted when the records of an environment cannot be read, or show no live release (exit code 21).")]
pub struct PruneArgs {
    #[command(flatten)]
    environment: StackArg,
    /// Number of newest pre-releases to keep beside those that are in use
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    keep: usize,
    /// ENV was never deployed, so it needs no release
    #[arg(long, value_name = "ENV")]
    never_deployed: Vec<String>,
    /// Show what would be deleted and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}
