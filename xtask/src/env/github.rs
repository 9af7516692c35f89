//! The repository at GitHub, with the token for it.

use anyhow::{Context as _, anyhow};
use secrecy::{ExposeSecret as _, SecretString};

use super::Env;
use crate::clients::github::{API, GitHub};
use crate::config::is_github_repository;
use crate::failure::Failure;
use crate::tools::git;
use crate::tools::platform::variable;

/// How the token of a job of GitHub Actions begins, and that of an app.
const INSTALLATION: &str = "ghs_";
/// Whom the token of a job belongs to, whatever variable it is given in.
const OWNER_IN_JOBS: &str = "github-actions[bot]";

impl Env<'_> {
    /// The repository. Nothing is asked yet.
    pub async fn github(&self) -> Result<GitHub, Failure> {
        self.github_of(&self.github_repository().await?)
    }

    /// Another repository, `owner/name`.
    pub fn github_of(&self, repository: &str) -> Result<GitHub, Failure> {
        let token = ["GH_TOKEN", "GITHUB_TOKEN"].into_iter().find_map(|name| self.secret(name).transpose());
        let token = token.transpose()?.ok_or_else(|| self.no_token("GH_TOKEN"))?;
        self.github_client(repository, &token)
    }

    /// The repository, with a token whose changes start workflows. Those that the token of a job makes start none.
    pub async fn github_that_starts_workflows(&self) -> Result<GitHub, Failure> {
        let names = ["RELEASE_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"];
        let found = names.into_iter().find_map(|name| Some(self.secret(name).transpose()?.map(|token| (name, token))));
        let (name, token) = found.transpose()?.ok_or_else(|| self.no_token("RELEASE_TOKEN"))?;
        let github = self.github_client(&self.github_repository().await?, &token)?;
        let is_of_installation = token.expose_secret().starts_with(INSTALLATION);
        if is_of_installation && github.viewer().await.context("ask GitHub whose token it is")? == OWNER_IN_JOBS {
            return Err(Failure::Refused(anyhow!(
                "{name} is the GITHUB_TOKEN of a job, and GitHub starts no workflow for what it does: the release would be \
                 promoted, and not deployed\n  make a token with the permission contents: write (a fine-grained one, or an app's), \
                 and set it as RELEASE_TOKEN"
            )));
        }
        Ok(github)
    }

    fn github_client(&self, repository: &str, token: &SecretString) -> Result<GitHub, Failure> {
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| API.to_owned());
        let github =
            GitHub::new(&api, repository, token, &self.patience).context("set up the client of GitHub's API")?;
        Ok(github)
    }

    /// `owner/name`: what deploy.yaml says, else the job of GitHub Actions, else the remote `origin`.
    pub async fn github_repository(&self) -> Result<String, Failure> {
        if let Some(repository) = self.config.github.as_ref().and_then(|github| github.repository.clone()) {
            return Ok(repository);
        }
        if let Some(repository) = variable("GITHUB_REPOSITORY").filter(|name| is_github_repository(name)) {
            return Ok(repository);
        }
        let server = variable("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
        let origin = git::origin(self.root()).await?;
        let host = server.split_once("://").map_or(server.as_str(), |(_, host)| host);
        let named = origin.as_deref().and_then(|origin| repository_of(origin, host));
        named.ok_or_else(|| {
            Failure::Usage(anyhow!(
                "the repository at GitHub is not known: the remote `origin` names none at {host}\n  \
                 add it to deploy.yaml: github: {{ repository: owner/name }}"
            ))
        })
    }

    fn no_token(&self, name: &str) -> Failure {
        Failure::Refused(anyhow!(
            "GitHub's API needs a token, and none is set\n  put {name} into .env.{} (mode 0600) or into the environment; \
             `gh auth token` prints the one of GitHub's own program",
            self.name()
        ))
    }
}

/// The repository that a remote's URL names, if it is on this host.
fn repository_of(origin: &str, host: &str) -> Option<String> {
    let path = match origin.split_once("://") {
        Some((_, rest)) => {
            rest.rsplit_once('@').map_or(rest, |(_, rest)| rest).strip_prefix(host)?.strip_prefix('/')?
        }
        None => origin.rsplit_once('@').map_or(origin, |(_, rest)| rest).strip_prefix(host)?.strip_prefix(':')?,
    };
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    is_github_repository(path).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::repository_of;

    #[test]
    fn a_remote_names_its_repository() {
        let of = |origin: &str| repository_of(origin, "github.com");
        for origin in [
            "https://github.com/some/thing.git",
            "https://github.com/some/thing",
            "https://github.com/some/thing/",
            "git@github.com:some/thing.git",
            "ssh://git@github.com/some/thing.git",
        ] {
            assert_eq!(of(origin).as_deref(), Some("some/thing"), "{origin}");
        }
        for origin in [
            "https://github.com.example.org/some/thing",
            "git@example.org:some/thing",
            "/srv/thing.git",
            "https://github.com/some",
        ] {
            assert_eq!(of(origin), None, "{origin}");
        }
    }
}
