//! `upgrade`: what this version of the toolkit changes for a project of an earlier one.

use clap::Args;
use semver::Version;
use serde_json::json;

use crate::changelog::{self, Section};
use crate::config::Config;
use crate::env;
use crate::failure::Failure;
use crate::report::Report;
use crate::typed;

/// Show what this version of the toolkit changes for a project that an earlier one deployed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask upgrade                  since the oldest version that `toolkit` of deploy.yaml takes
  cargo xtask upgrade --from 0.2.0     since another version

It changes nothing. It works, too, where deploy.yaml does not take this version.")]
pub struct UpgradeArgs {
    /// The version that was used before
    #[arg(long, value_name = "VERSION")]
    from: Option<Version>,
}

impl UpgradeArgs {
    /// Runs the command. Of deploy.yaml it reads `toolkit` only.
    pub fn run(self, report: &Report) -> Result<(), Failure> {
        let pinned = || Config::oldest_toolkit(&env::find_root().map_err(Failure::Usage)?).map_err(Failure::from);
        let from = match self.from {
            Some(version) => Some(version),
            None => pinned()?,
        };
        let this = env!("CARGO_PKG_VERSION");
        report.note(&match &from {
            Some(from) => format!("this is {} {this}, and these are its changes since {from}", typed::program()),
            None => format!(
                "this is {} {this}; `toolkit` of deploy.yaml names no oldest version, so these are all changes",
                typed::program()
            ),
        });
        let sections = changelog::since(changelog::TEXT, from.as_ref());
        for section in &sections {
            let version = section.version.as_ref().map(Version::to_string);
            report.result(json!({ "version": version, "changes": section.changes }), &text(section));
        }
        if sections.is_empty() {
            report.note("nothing has changed");
        }
        report.note("to write anew what is rendered, type: cargo xtask render");
        report.note(&format!("when all who deploy have this version, write in deploy.yaml: toolkit: '>={this}'"));
        Ok(())
    }
}

fn text(section: &Section) -> String {
    let title = section.version.as_ref().map_or("not released yet".to_owned(), Version::to_string);
    let changes: Vec<String> = section.changes.iter().map(|change| format!("  - {change}")).collect();
    format!("{title}\n{}\n", changes.join("\n"))
}
