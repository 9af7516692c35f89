//! `bootstrap`: what a stack needs and cannot create. The command line is here; what it runs is compiled with the feature
//! `cloud` only.

#[cfg(feature = "cloud")]
mod run;

use clap::{Args, Subcommand};

use super::StackArg;

/// `bootstrap …`
#[derive(Subcommand, Debug)]
pub enum Bootstrap {
    State(StateArgs),
    Zone(ZoneArgs),
    Registry(RegistryArgs),
    Github(GithubArgs),
    SigningKey(SigningKeyArgs),
}

/// Create, harden and check the bucket of the stack's state, and test its locks
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap state production
  cargo xtask bootstrap state production --check      exit code 10 if something differs; changes nothing
  cargo xtask bootstrap state production --yes        does not ask

Needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, at Scaleway SCW_ACCESS_KEY and SCW_SECRET_KEY, \
from .env.<ENV> or the environment. Refused (exit code 21): a bucket of another account, in another \
region, or with other objects than states; and a service on which a state cannot be locked, because \
it accepts the second of two conditional writes.")]
pub struct StateArgs {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    fix: FixArgs,
}

/// Find or create the DNS zone of the domain, and check its delegation
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap zone production
  cargo xtask bootstrap zone production --check       exit code 10 if something differs; changes nothing
  cargo xtask bootstrap zone production --name example.org --yes

Needs TF_VAR_dns_access_key_id and TF_VAR_dns_secret_access_key from .env.<ENV> or the environment, \
like the stacks: the state bucket has credentials of its own. The delegation is queried from the \
parent zone's servers; if the network allows one DNS server only, set DNS_SERVER=ADDRESS[:PORT]. \
The delegation has to be changed at the registrar. AWS_ENDPOINT_URL_ROUTE_53 sets another address of \
Route 53.")]
pub struct ZoneArgs {
    #[command(flatten)]
    stack: StackArg,
    /// Name of the zone to create; by default the domain without its first label
    #[arg(long, value_name = "ZONE")]
    name: Option<String>,
    #[command(flatten)]
    fix: FixArgs,
}

/// Check that the image registry accepts a push; at Scaleway, also create its namespace
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap registry production
  cargo xtask bootstrap registry production --check   exit code 10 if something differs; changes nothing

The first image is pushed before the first `tofu apply`, so the namespace must exist before the \
stack, which imports it by `registry_namespace_id`. The credentials are those of `image push`; at \
Scaleway the password is SCW_SECRET_KEY. Refused (exit code 21): a namespace of another account, or \
in another project.")]
pub struct RegistryArgs {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    fix: FixArgs,
}

/// Protect and check the repository at GitHub: environments, branches, tags, workflows, releases
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap github production
  cargo xtask bootstrap github production --check     exit code 10 if something differs; changes nothing
  cargo xtask bootstrap github production --yes       does not ask

Sets the environments at GitHub of every environment with a stack: ENV, which only the main branch and the tags build-* are \
deployed to, and which the `github.reviewers` of deploy.yaml approve, and ENV-plan without an approval. Sets two rulesets, with \
the `github.required_checks` on the main branch; rulesets of other names stay. Allows workflows the actions of GitHub, of the \
rendered workflows and of `github.actions`, pinned to a commit, and a token that reads. Makes releases immutable. What GitHub \
does not offer for the repository is said, and is no failure. What no API sets is listed at the end, behind a question mark.

Needs GH_TOKEN or GITHUB_TOKEN from .env.<ENV> or the environment, with the permissions administration: write and \
actions: read.")]
pub struct GithubArgs {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    fix: FixArgs,
}

/// Make or rotate the key by which the service signs URLs for its content delivery network
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap signing-key production
  cargo xtask bootstrap signing-key production --check     exit code 10 if something differs; changes nothing
  cargo xtask bootstrap signing-key production --rotate    a second key, beside the one that signs
  cargo xtask bootstrap signing-key production --finish    the second key takes the first one's place

The key is RSA of 2048 bits, made by openssl. Its private half is written to .env.<ENV> (mode 0600) alone, as the service's setting of the kind `rsa-key`; `secrets apply` gives it to GitHub. Its public half is shown as the value of the variable `signing_public_keys` of the stack that makes the distribution. A key that is there is never replaced: `--rotate` makes another one, and `--finish` is refused until its public half is in that variable. Apply that stack in between. The service takes a new key together with its id, which is in the stack's output `signing_key_ids` under the key's name.")]
pub struct SigningKeyArgs {
    #[command(flatten)]
    stack: StackArg,
    /// Make a second key, which signs nothing yet
    #[arg(long, conflicts_with = "finish")]
    rotate: bool,
    /// Let the second key sign, and remove the first one
    #[arg(long)]
    finish: bool,
    #[command(flatten)]
    fix: FixArgs,
}

/// Whether a `bootstrap` command checks, asks, or fixes.
#[derive(Args, Clone, Copy, Debug)]
pub struct FixArgs {
    /// Change nothing; show what differs
    #[arg(long, conflicts_with = "yes")]
    check: bool,
    /// Fix without asking
    #[arg(long)]
    yes: bool,
}
