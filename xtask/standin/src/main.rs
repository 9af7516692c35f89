//! A provider for OpenTofu whose cloud is this machine: it has the schema of a real one, from a dump, and keeps what it
//! is told to make in a folder.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod act;
mod diagnostic;
mod faults;
mod fill;
mod lifeline;
mod machine;
mod path;
mod plan;
mod plugin;
mod policy;
mod protocol;
mod rules;
mod schema;
mod server;
mod store;
mod template;
mod validate;
mod value;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;

/// Serves providers from their schemas, on what is kept in a folder.
///
/// Prints the value of TF_REATTACH_PROVIDERS and serves until it is ended. Started by OpenTofu, as a plugin, it takes
/// the same from its environment and serves one provider.
#[derive(Debug, Parser)]
struct Arguments {
    /// A dump of `tofu providers schema -json` of one provider; may be repeated.
    #[arg(long, required = true, env = "STANDIN_SCHEMA", value_delimiter = ',')]
    schema: Vec<PathBuf>,
    /// What the dumps do not say; may be repeated.
    #[arg(long, env = "STANDIN_RULES", value_delimiter = ',')]
    rules: Vec<PathBuf>,
    /// Where what exists is kept, and where faults.json is looked for.
    #[arg(long, env = "STANDIN_STATE")]
    state: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    lifeline::hold();
    let machine = Arc::new(machine::Machine::of_environment(&arguments.state).await?);
    let serve = |schema: &PathBuf| {
        let rules = rules::Rules::read(&arguments.rules)?;
        server::Server::new(schema::Provider::read(schema)?, rules, Arc::clone(&machine), &arguments.state)
    };
    let servers = arguments.schema.iter().map(serve).collect::<Result<Vec<_>>>()?;
    for server in &servers {
        server.look_around().await?;
    }
    let (name, value) = plugin::COOKIE;
    if std::env::var(name).is_ok_and(|set| set == value) {
        plugin::started(servers).await
    } else {
        plugin::attached(servers).await
    }
}
