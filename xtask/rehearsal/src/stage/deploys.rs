//! The chapters that deploy, and what the breaks share with them.

use anyhow::{Context as _, Result, ensure};

use super::Stage;
use crate::toolkit::{Ran, Running};

impl Stage<'_> {
    /// Chapter: the stack of the media. The service is planned with what it gives, so it is approved and applied first.
    pub async fn apply_media(&self) -> Result<Vec<String>> {
        let planned = self.plan().await?.expect(&[10])?;
        let (digest, changes) = (planned.text("approval")?, planned.media_changes()?);
        // 21: the service's own plan waits for its approval.
        self.xtask(&["deploy", &self.environment.name, "--approve", digest]).await?.expect(&[21])?;
        let status = self.status().await?;
        ensure!(status["version"].is_null(), "the media have deployed {}", status["version"]);
        Ok(vec![
            format!("{changes}, applied with the approval {digest}"),
            "exit code 21: the service is planned with what the media give, and waits for an approval of its own"
                .to_owned(),
        ])
    }

    /// Chapter: the plan of the first deploy, which applies nothing.
    pub async fn first_plan(&self) -> Result<Vec<String>> {
        let planned = self.plan().await?.expect(&[10])?;
        let (digest, changes) = (planned.text("approval")?, planned.changes()?);
        let status = self.status().await?;
        ensure!(status["version"].is_null(), "a plan has deployed {}", status["version"]);
        Ok(vec![
            format!("exit code 10: {changes}, and nothing serves yet"),
            format!("the plan is kept for its approval {digest}"),
        ])
    }

    /// Chapter: the first deploy.
    pub async fn first_deploy(&self) -> Result<Vec<String>> {
        self.deploy().await?.expect(&[0])?;
        let serves = self.serves(&self.version().await?).await?;
        let again = if self.is_host() {
            self.deploy().await?.expect(&[0])?.result("unchanged")?;
            "deployed again at once: unchanged".to_owned()
        } else {
            format!("planned again at once: {}", self.plan().await?.expect(&[0])?.changes()?)
        };
        Ok(vec![serves, again])
    }

    /// Chapter: the second version, while users ask.
    pub async fn deploy_under_load(&self) -> Result<Vec<String>> {
        self.clone()?.commit("A second version").await?;
        let public = self.public().await?;
        let (deployed, load) = public.while_it_runs(self.deploy()).await;
        deployed?.expect(&[0])?;
        let serves = self.serves(&self.version().await?).await?;
        ensure!(load.failed == 0, "the deploy was to be unnoticed: {load}");
        Ok(vec![serves, load.to_string()])
    }

    /// Chapter: back to the release before.
    pub async fn roll_back(&self) -> Result<Vec<String>> {
        let name = &self.environment.name;
        let before = self.status().await?["version"].as_str().unwrap_or_default().to_owned();
        let rolled_back = if self.is_host() {
            self.xtask(&["rollback", name]).await?
        } else {
            let planned = self.xtask(&["rollback", name, "--plan-only"]).await?.expect(&[10])?;
            self.xtask(&["rollback", name, "--approve", planned.text("approval")?]).await?
        };
        rolled_back.expect(&[0])?;
        let status = self.status().await?;
        let after = status["version"].as_str().context("a release serves after the rollback")?;
        ensure!(after != before, "the rollback left {before} serving");
        Ok(vec![format!("from {before} back to {after}"), self.serves(after).await?])
    }

    /// Plans the clone's last commit.
    pub async fn plan(&self) -> Result<Ran> {
        self.xtask(&["deploy", &self.environment.name, "--plan-only"]).await
    }

    /// What a deploy begins with: its plan. On a Docker host it is all of it.
    pub async fn begin(&self) -> Result<Ran> {
        if self.is_host() { self.deploy().await } else { self.plan().await }
    }

    /// Deploys it: plans it, and applies that plan. On a Docker host nothing is planned.
    pub async fn deploy(&self) -> Result<Ran> {
        self.start_deploy(&[]).await?.end().await
    }

    /// The same, and returns when its last command has begun. `options` are further ones of it.
    pub async fn start_deploy(&self, options: &[&str]) -> Result<Running<'_>> {
        let deploy = ["deploy", &self.environment.name];
        if self.is_host() {
            return self.start(&[&deploy[..], options].concat());
        }
        let planned = self.plan().await?.expect(&[10])?;
        self.start(&[&deploy[..], &["--approve", planned.text("approval")?], options].concat())
    }
}
