//! An OpenTofu provider generated from a schema dump. Resources are stored on this machine.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod backend;
mod check;
mod computed;
mod diagnostic;
mod dns;
mod faults;
mod fields;
mod gateway;
mod http;
mod listening;
mod parent_watch;
mod path;
mod plan;
mod platform;
mod plugin;
mod policy_document;
mod protocol;
mod proxy;
mod rollouts;
mod rules;
mod schema;
mod server;
mod services;
mod socket;
mod store;
mod template;
mod validate;
mod value;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;

/// Serves OpenTofu providers generated from schema dumps. Resources are stored in a folder.
///
/// Prints the value of TF_REATTACH_PROVIDERS and serves until the process is stopped. If OpenTofu starts it as a
/// plugin, it reads its options from the environment and serves one provider.
#[derive(Debug, Parser)]
struct Arguments {
    /// The output of `tofu providers schema -json` for one provider. Can be repeated.
    #[arg(long, required = true, env = "STANDIN_SCHEMA", value_delimiter = ',')]
    schema: Vec<PathBuf>,
    /// A file of rules that a schema does not contain, such as defaults and ForceNew. Can be repeated.
    #[arg(long, env = "STANDIN_RULES", value_delimiter = ',')]
    rules: Vec<PathBuf>,
    /// The folder that stores the resources and may contain faults.json.
    #[arg(long, env = "STANDIN_STATE")]
    state: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    parent_watch::exit_when_stdin_closes();
    let as_plugin = plugin::started_by_opentofu();
    // A plugin ends with the command: its process does not serve.
    let listening = if as_plugin { listening::Listening::default() } else { listening::Listening::from_env().await? };
    let services = Arc::new(services::Services::from_env(&arguments.state, &listening).await?);
    let serve = |schema: &PathBuf| {
        let rules = rules::Rules::read(&arguments.rules)?;
        server::Server::new(schema::Provider::read(schema)?, rules, Arc::clone(&services), &arguments.state)
    };
    let servers = arguments.schema.iter().map(serve).collect::<Result<Vec<_>>>()?;
    for server in &servers {
        server.reopen_proxies().await?;
    }
    if as_plugin {
        plugin::serve_plugin(servers, &services.state).await
    } else {
        let platform = servers.iter().find(|server| server.source() == platform::PROVIDER).cloned();
        let platform = platform.map(|server| platform::Platform::new(server, Arc::clone(&services)));
        listening.serve(&services, platform)?;
        plugin::serve_reattach(servers, &services.state).await
    }
}
