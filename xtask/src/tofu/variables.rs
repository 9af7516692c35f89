//! Variables of a stack: those that a release sets, and which ones the stack declares.
//!
//! A release sets `image`, `release`, `settings` and `secrets`, if deploy.yaml has `settings` for the environment.
//! `variables` in deploy.yaml and `TF_VAR_…` override these. They are passed in the environment of `tofu plan`; `tofu apply`
//! reads them from the encrypted plan.

use anyhow::{Result, anyhow};
use camino::Utf8PathBuf;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Workspace, init};
use crate::env::Env;
use crate::failure::Failure;
use crate::fs::{found, read_text, replace_file};
use crate::hash::sha256;
use crate::release::{Release, Settings, Source};
use crate::tools::tofu::plan::Plan;
use crate::tools::tofu::{Tofu, hcl};

/// The values of the variables that a release sets.
pub struct ReleaseVariables<'a> {
    /// What was built.
    pub source: &'a Source,
    /// `name@sha256:…`. None if deploy.yaml has no `image`, or overrides the variable.
    pub image: Option<String>,
    /// The service's settings.
    pub settings: &'a Settings,
}

impl<'a> ReleaseVariables<'a> {
    /// Those of a release with these settings.
    pub fn of(release: &'a Release, settings: &'a Settings) -> Self {
        Self { source: &release.published.source, image: release.published.image(), settings }
    }

    /// A hash of what the release sets.
    pub(super) fn fingerprint(&self) -> Result<String> {
        Ok(sha256(format!("{}\n{}", self.image.as_deref().unwrap_or_default(), self.settings.inputs()?).as_bytes()))
    }

    /// Adds the variables that are not overridden to the program's environment, and returns their names.
    pub(super) fn add_to(&self, workspace: &Workspace<'_>, tofu: Tofu) -> Result<(Tofu, Vec<&'static str>)> {
        let (env, redactor) = (workspace.env, workspace.env.report.redactor());
        for (_, value) in self.settings.secrets.iter() {
            redactor.learn_value(value);
            // The form in which a provider's error may repeat it.
            redactor.learn_value(&SecretString::from(hcl::string(value.expose_secret())));
        }
        let (mut tofu, mut names) = (tofu, Vec::new());
        if !is_overridden(env, "settings")? {
            let plain = self.settings.plain.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            tofu = tofu.env("TF_VAR_settings", hcl::map(plain));
            names.push("settings");
        }
        if !is_overridden(env, "secrets")? {
            let secrets = self.settings.secrets.iter().map(|(name, value)| (name, value.expose_secret()));
            tofu = tofu.secret("TF_VAR_secrets", SecretString::from(hcl::map(secrets)));
            names.push("secrets");
        }
        if !is_overridden(env, "release")? {
            tofu = tofu.env("TF_VAR_release", &self.source.version);
            names.push("release");
        }
        if let Some(image) = &self.image
            && !is_overridden(env, "image")?
        {
            tofu = tofu.env("TF_VAR_image", image);
            names.push("image");
        }
        Ok((tofu, names))
    }
}

/// Whether `variables` in deploy.yaml or `TF_VAR_…` sets this variable of the stack.
pub fn is_overridden(env: &Env<'_>, name: &str) -> Result<bool> {
    let is_in_config = env.environment.stack().is_some_and(|stack| stack.variables.contains_key(name));
    Ok(is_in_config || env.secret(&format!("TF_VAR_{name}"))?.is_some())
}

/// Whether the stack declares the variables that it is given. OpenTofu ignores one that is not declared. The answer is
/// remembered until the names or the stack's files change.
pub(super) struct DeclaredVariables {
    names: Vec<String>,
    /// Remembers the last fingerprint that was checked.
    file: Utf8PathBuf,
    fingerprint: String,
}

impl DeclaredVariables {
    /// Of the variables that deploy.yaml and the release set.
    pub fn of(workspace: &Workspace<'_>, of_release: &[&str]) -> Result<Self, Failure> {
        let of_config = workspace.stack.variables.keys().cloned();
        let names: Vec<String> = of_config.chain(of_release.iter().map(|&name| name.to_owned())).collect();
        let fingerprint = format!("{}\n{}\n", init::fingerprint(workspace)?, names.join("\n"));
        Ok(Self { names, file: workspace.folder().join("declared"), fingerprint })
    }

    /// Whether an earlier plan checked the same.
    pub fn are_known(&self) -> Result<bool> {
        Ok(found(read_text(&self.file))?.is_some_and(|known| known == self.fingerprint))
    }

    /// Fails if the stack of a plan does not declare one of them.
    pub fn check(&self, workspace: &Workspace<'_>, plan: &Plan) -> Result<(), Failure> {
        let is_undeclared = |name: &&String| !plan.variables.contains(*name);
        let undeclared: Vec<&str> = self.names.iter().filter(is_undeclared).map(String::as_str).collect();
        if undeclared.is_empty() {
            return Ok(());
        }
        let declared: Vec<&str> = plan.variables.iter().map(String::as_str).collect();
        Err(Failure::Usage(anyhow!(
            "deploy.yaml gives {} the variables {}, which the stack {} does not declare\n  it declares: {}",
            workspace.name(),
            undeclared.join(", "),
            workspace.stack.folder,
            declared.join(", ")
        )))
    }

    pub fn remember(&self) -> Result<()> {
        if self.are_known()? { Ok(()) } else { replace_file(&self.file, self.fingerprint.as_bytes()) }
    }
}
