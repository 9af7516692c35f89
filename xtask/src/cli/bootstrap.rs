//! The commands about what a stack takes and cannot make.

use clap::{Args, Subcommand};

use super::StackArg;

/// `bootstrap …`
#[derive(Subcommand, Debug)]
pub enum Bootstrap {
    /// The bucket of the state: make it, close it to others, keep its old versions, and try whether it can be locked
    #[command(after_help = "Examples:
  cargo xtask bootstrap state production
  cargo xtask bootstrap state production --check      exits with 10 when something differs, and changes nothing
  cargo xtask bootstrap state production --yes        does not ask

Takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, at Scaleway SCW_ACCESS_KEY and SCW_SECRET_KEY, from the environment or
.env.<ENV>. Refused (exit code 21): a bucket that is somebody else's, in another region, or holds what is no state, and a
service that does not refuse the second of two conditional writes, where no state would be locked.")]
    State {
        #[command(flatten)]
        stack: StackArg,
        #[command(flatten)]
        how: BootstrapArgs,
    },
    /// The DNS zone of the domain: find or make it, and compare its name servers with what its parent answers
    #[command(after_help = "Examples:
  cargo xtask bootstrap zone production
  cargo xtask bootstrap zone production --check       exits with 10 when something differs, and changes nothing
  cargo xtask bootstrap zone production --name example.org --yes

Takes TF_VAR_dns_access_key_id and TF_VAR_dns_secret_access_key from the environment or .env.<ENV>, as the stacks do: the
state bucket's credentials have other names. Which name servers the zone's parent sends to is asked of the parent itself;
where only one DNS server may be asked, DNS_SERVER=ADDRESS[:PORT] names it. To set them at a registrar takes a person.
AWS_ENDPOINT_URL_ROUTE_53 is another address of Route 53.")]
    Zone {
        #[command(flatten)]
        environment: StackArg,
        /// What a zone that is made is called; the domain without its first label if nothing is said
        #[arg(long, value_name = "ZONE")]
        name: Option<String>,
        #[command(flatten)]
        how: BootstrapArgs,
    },
    /// The image registry: whether it takes a push; at Scaleway also its namespace, made where it is missing
    #[command(after_help = "Examples:
  cargo xtask bootstrap registry production
  cargo xtask bootstrap registry production --check   exits with 10 when something differs, and changes nothing

The first image is pushed before the first `tofu apply`, so the namespace has to be there before the stack is. The stack
takes it over by `registry_namespace_id`. Credentials: those of `image push`; at Scaleway the password is SCW_SECRET_KEY.
Refused (exit code 21): a namespace that is somebody else's, or in another project.")]
    Registry {
        #[command(flatten)]
        environment: StackArg,
        #[command(flatten)]
        how: BootstrapArgs,
    },
}

/// How a `bootstrap` command is asked for.
#[derive(Args, Clone, Copy, Debug)]
pub struct BootstrapArgs {
    /// Change nothing; tell what differs
    #[arg(long, conflicts_with = "yes")]
    pub check: bool,
    /// Mend without being asked
    #[arg(long)]
    pub yes: bool,
}
