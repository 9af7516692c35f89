//! Which attestations are accepted: those of the workflow that deploy.yaml allows.

use anyhow::{Result, ensure};

use super::attestation::Attestation;

/// What deploy.yaml allows, with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// `https://github.com`, or that of a GitHub Enterprise.
    pub server: String,
    /// `OWNER/NAME`.
    pub repository: String,
    /// The workflow's file: `.github/workflows/ci.yml`.
    pub workflow: String,
    /// The service that knows workflows.
    pub issuer: String,
    /// The branch of releases.
    pub main_branch: String,
}

impl Allowed {
    /// Checks that the workflow that signed is the allowed one, and that it ran for the main branch. Fails with the reason. A run
    /// for a tag does not count: who may push a tag to an old commit chooses its workflow.
    pub fn accepts(&self, attestation: &Attestation) -> Result<()> {
        let Attestation { issuer, signer, repository, reference, .. } = attestation;
        ensure!(*issuer == self.issuer, "its workflow was known to {issuer}, and deploy.yaml allows {}", self.issuer);
        let own = format!("{}/{}", self.server, self.repository);
        // GitHub's names have no case.
        ensure!(repository.eq_ignore_ascii_case(&own), "it is of the repository {repository}, and not of {own}");
        let workflow = format!("{own}/{}", self.workflow);
        let is_allowed = signer.split_once('@').is_some_and(|(path, of)| {
            let (its_repository, its_file) = path.split_at_checked(own.len()).unwrap_or((path, ""));
            its_repository.eq_ignore_ascii_case(&own)
                && its_file.strip_prefix('/') == Some(&self.workflow)
                && of == reference
        });
        ensure!(is_allowed, "it was signed by {signer}, and deploy.yaml allows {workflow} for {reference}");
        let is_main = *reference == format!("refs/heads/{}", self.main_branch);
        ensure!(is_main, "its workflow ran for {reference}, and not for the branch {}", self.main_branch);
        Ok(())
    }
}
