//! `render`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::render::{Rendered, render};

/// Write the files that are generated from the table of settings and the templates
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask render
  cargo xtask render --check      in CI: fails, with a diff, when a file is not up to date")]
pub struct RenderArgs {
    /// Change nothing; fail with a diff when a file is not up to date
    #[arg(long)]
    check: bool,
}

impl RenderArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let Context { config, report, .. } = context;
        let files = render(config, None).await?;
        let stale: Vec<&Rendered> = files.iter().filter(|file| !file.is_fresh()).collect();
        for file in &stale {
            let name = &file.name;
            if self.check {
                let diff = file.diff();
                report.result(json!({ "file": name, "diff": diff }), &diff);
            } else {
                file.write(config)?;
                report.result(json!({ "file": name, "written": true }), &format!("wrote {name}"));
            }
        }
        if stale.is_empty() {
            report.note("every rendered file is up to date");
        }
        if self.check && !stale.is_empty() {
            let names: Vec<&str> = stale.iter().map(|file| file.name.as_str()).collect();
            return Err(anyhow!("not up to date: {}; type: cargo xtask render", names.join(", ")).into());
        }
        Ok(())
    }
}
