//! BuildKit on this machine, and one build by it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use secrecy::SecretString;

use super::inputs::Inputs;
use super::progress::{Counts, Progress};
use super::signature::{self, Subject};
use super::{CACHE_TAG, ServiceImage};
use crate::clients::buildkit::{Attest, Auth, Builder, Built, Cache, Output, Request};
use crate::clients::docker::{self, ConnectError};
use crate::clients::registry::credentials::{Credentials, Login};
use crate::clients::registry::reference::Reference;
use crate::config::SuppliedBy;
use crate::failure::Failure;
use crate::report::Ongoing;
use crate::tools::git;
use crate::tools::platform::variable;

/// The id of the build secret that holds the certificates of SSL_CERT_FILE.
const CA: &str = "ca";

/// One build of an image.
pub struct Build<'a> {
    pub image: &'a ServiceImage<'a>,
    pub inputs: &'a Inputs,
    pub builder: &'a Builder,
    /// Run every step again.
    pub no_cache: bool,
}

/// The buildkitd that BUILDKIT_HOST names, or else the Docker engine.
pub async fn connect() -> Result<Builder, ConnectError> {
    Builder::connect(variable("BUILDKIT_HOST").as_deref(), variable("DOCKER_HOST").as_deref()).await
}

/// The same, with the next command to type in its error.
pub async fn require() -> Result<Builder> {
    connect().await.map_err(|error| {
        let remedy = remedy(&error);
        anyhow!(error).context(format!("connect to Docker or a buildkitd\n  {remedy}"))
    })
}

/// What to do when there is no usable builder.
pub fn remedy(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Unreachable { .. } => {
            "install Docker: cargo xtask setup --docker; start it: systemctl start docker (without systemd: dockerd); \
             or set BUILDKIT_HOST to the address of a buildkitd"
        }
        ConnectError::Silent { .. } => "check which program listens there, and restart it: systemctl restart docker",
        ConnectError::Denied { .. } => {
            "add this user to the group docker: sudo usermod --append --groups docker $USER; then log in again"
        }
        ConnectError::NoBuildKit { .. } | ConnectError::TooOld { .. } => {
            "install Docker 20.10 or newer, which contains BuildKit: cargo xtask setup --docker"
        }
        ConnectError::Address(_) => "correct DOCKER_HOST or BUILDKIT_HOST: unix:///path or tcp://host:port",
        ConnectError::Protocol { .. } => "check which program listens there: docker version",
    }
}

/// Credentials in the form that Docker and BuildKit take.
pub fn docker_credentials(credentials: &Credentials) -> Option<docker::Credentials> {
    let (user, password) = match credentials.login()? {
        Login::Password { username, password } => (username.clone(), password.clone()),
        // Docker's own client sends an identity token with an empty name.
        Login::IdentityToken(token) => (String::new(), token.clone()),
    };
    Some(docker::Credentials { user, password })
}

impl Build<'_> {
    /// Runs the build.
    pub async fn run(&self, output: Output<'_>, step: &Ongoing) -> Result<(Built, Counts)> {
        let to = self.image.env.environment.registry().map(|_| format!("{}:{CACHE_TAG}", self.image.name()));
        let from = self.signed_cache().await?;
        // An engine writes its cache records into the image; a buildkitd writes the registry's cache when it pushes.
        let write = matches!(self.builder, Builder::Engine(_)) || matches!(output, Output::Push(_));
        let (labels, auth) = tokio::try_join!(self.labels(), self.auth())?;
        let (args, secrets) = (self.args()?, self.secrets()?);
        let label = |name: &str| labels.get(&format!("org.opencontainers.image.{name}")).map(String::as_str);
        let attest =
            Attest { source: label("source"), revision: label("revision"), scanner: self.inputs.scanner.as_deref() };
        let request = Request {
            context: Box::pin(self.inputs.context.archive()?),
            dockerfile: self.image.spec.dockerfile.as_str(),
            args: &args,
            labels: &labels,
            secrets: &secrets,
            platform: &self.image.spec.platform,
            cache: Cache { from: from.as_deref(), to: to.as_deref().filter(|_| write) },
            created: self.inputs.created,
            auth: &auth,
            no_cache: self.no_cache,
            attest,
        };
        let mut progress = Progress::new(step);
        let built = self.builder.build(request, output, |event| progress.show(event)).await?;
        if let Some(digest) = &built.cache {
            let repository = self.image.repository().await.map_err(Failure::into_error)?;
            let manifest = repository.manifest(digest).await.context("read the manifest of the layer cache")?;
            signature::sign(self.image, Subject::Cache, &manifest).await?;
        }
        Ok((built, progress.counts()))
    }

    /// The registry's layer cache by its digest, if it is signed.
    async fn signed_cache(&self) -> Result<Option<String>> {
        if self.no_cache || self.image.env.environment.registry().is_none() {
            return Ok(None);
        }
        let repository = self.image.repository().await.map_err(Failure::into_error)?;
        let digest = repository.digest_of(CACHE_TAG).await.context("look for the layer cache in the registry")?;
        let Some(digest) = digest else { return Ok(None) };
        let is_signed = signature::is_signed(self.image, Subject::Cache, &digest).await?;
        Ok(is_signed.then(|| format!("{}@{digest}", self.image.name())))
    }

    /// The base images, and the version under the name of the setting that the service reads it from.
    fn args(&self) -> Result<BTreeMap<String, String>> {
        let mut args = self.inputs.bases.clone();
        let config = self.image.env.config;
        let table = config.settings_table()?;
        let version = table.settings.iter().find(|setting| setting.supplied_by == Some(SuppliedBy::Version));
        if let Some(version) = version {
            args.insert(version.name.clone(), self.inputs.version().to_owned());
        }
        Ok(args)
    }

    /// Labels by the OCI image specification 1.1, "Annotations".
    async fn labels(&self) -> Result<BTreeMap<String, String>> {
        let labels = [
            ("source", git::origin(self.image.env.root()).await?),
            ("revision", Some(self.inputs.source.commit.clone())),
            ("created", Some(self.inputs.created.to_string())),
            ("version", Some(self.inputs.version().to_owned())),
        ];
        let known = labels.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Ok(known.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value)).collect())
    }

    /// Credentials for the registries of the image and of those that its build takes.
    async fn auth(&self) -> Result<Auth> {
        let own = self.image.env.environment.registry().map(|_| self.image.name());
        let mut auth = Auth::new();
        for name in self.image.spec.of_others().cloned().chain(own) {
            let reference: Reference = name.parse()?;
            if let Some(credentials) = docker_credentials(&self.image.credentials(reference.host()).await?) {
                auth.insert(reference.host().to_string(), credentials);
            }
        }
        Ok(auth)
    }

    /// The build secrets that deploy.yaml names, and as `ca` the certificates of SSL_CERT_FILE: a proxy that inspects TLS has
    /// its own certificate authority. Fails when a named secret has no value.
    fn secrets(&self) -> Result<BTreeMap<String, SecretString>> {
        let env = self.image.env;
        let mut secrets = BTreeMap::new();
        for name in &self.image.spec.secrets {
            let value = env.secret(name)?.with_context(|| {
                format!(
                    "the build secret {name} of deploy.yaml has no value\n  put it into .env.{} (mode 0600) or into the environment",
                    env.name()
                )
            })?;
            secrets.insert(name.clone(), value);
        }
        if let Some(path) = variable("SSL_CERT_FILE") {
            let certificates = fs_err::read_to_string(path).context("read the certificates of SSL_CERT_FILE")?;
            secrets.insert(CA.to_owned(), SecretString::from(certificates));
        }
        Ok(secrets)
    }
}
