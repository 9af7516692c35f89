//! `lock`: the lease of an environment.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::state::lease;

/// `lock …`
#[derive(Subcommand, Debug)]
pub enum Lock {
    /// Show who holds the environment's lease
    Status(LockStatusArgs),
    /// Take the lease away from its holder, whose command stops at its next step
    Break(LockBreakArgs),
}

/// Arguments of `lock status`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask lock status production
  cargo xtask lock status --json")]
pub struct LockStatusArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

/// Arguments of `lock break`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask lock break production
  cargo xtask lock break production --yes")]
pub struct LockBreakArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Break it without asking
    #[arg(long)]
    yes: bool,
}

impl Lock {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Status(args) => args.run(context).await,
            Self::Break(args) => args.run(context).await,
        }
    }
}

impl LockStatusArgs {
    async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let name = env.name();
        let holder = lease::status(env.store()?).await?;
        let text = match &holder {
            None => format!("{name} is free"),
            Some(holder) => format!(
                "{name} is held by {} since {}, renewed {}: {} (toolkit {}, process {}{})",
                holder.who,
                holder.since,
                holder.renewed,
                holder.message,
                holder.version,
                holder.process.pid,
                if holder.process.is_known_stopped() { ", which is stopped" } else { "" }
            ),
        };
        env.report.result(json!({ "environment": name, "locked_by": holder }), &text);
        Ok(())
    }
}

impl LockBreakArgs {
    async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let (name, store) = (env.name(), env.store()?);
        let Some(holder) = lease::status(store).await? else {
            env.report.result(json!({ "broken": null }), &format!("{name} is free; nothing to break"));
            return Ok(());
        };
        let who = &holder.who;
        let question = format!("Break the lease of {who} on {name}? Their command stops at its next step.");
        if !self.yes && !confirmed(context.report, context.stop, &question, "the lease was not broken").await? {
            return Err(Failure::Refused(anyhow!(
                "the lease was not broken; type: cargo xtask lock break {name} --yes"
            )));
        }
        let broken = lease::break_lease(store).await?;
        env.report.result(json!({ "broken": broken }), &format!("the lease of {who} was broken"));
        Ok(())
    }
}
