//! `image pin`

use std::collections::BTreeMap;

use serde_json::json;

use crate::commands::Context;
use crate::commands::image::PinArgs;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::image::lock_file::FILE;
use crate::image::pin::{Pinned, pin};
use crate::release::short_digest;

impl PinArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let pinned = pin(&ServiceImage::find(&env)?, !self.check).await?;
        let is_pending = self.check && pinned.is_changed();
        let bases: BTreeMap<&String, &String> = pinned.bases.iter().map(|(name, base)| (name, &base.digest)).collect();
        let detail = json!({ "bases": bases, "changed": pinned.is_changed(), "written": pinned.written });
        let mut lines = lines(&pinned);
        if pinned.written {
            lines.push(format!("wrote {FILE}; commit it"));
        }
        if lines.is_empty() {
            lines.push("deploy.yaml names no base images (image: bases)".to_owned());
        }
        env.report.result(detail, &lines.join("\n"));
        if is_pending {
            env.report.note(&format!("{FILE} is not up to date; type: cargo xtask image pin {}", env.name()));
            return Err(Failure::Pending);
        }
        Ok(())
    }
}

fn lines(pinned: &Pinned) -> Vec<String> {
    let bases = pinned.bases.iter();
    let bases = bases.map(|(name, base)| format!("{name:<32} {}  {}", short_digest(&base.digest), base.change.words()));
    let removed = pinned.removed.iter().map(|name| format!("{name:<32} is no longer in deploy.yaml"));
    bases.chain(removed).collect()
}
