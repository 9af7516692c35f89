//! An environment's OpenTofu stack: operations on it, which return what they found or did.

pub mod apply;
pub mod approval;
pub mod drift;
mod drive;
pub mod guard;
mod init;
mod interrupted;
pub mod media;
mod output;
pub mod plan;
pub mod recover;
pub mod rehearsed;
pub mod summary;
pub mod unseen;
mod validate;
pub mod variables;

use std::cell::OnceCell;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};

pub use self::init::{Initialized, LOCK_FILE, init, init_if_changed, is_initialized};
pub use self::interrupted::settle;
pub use self::output::outputs;
pub use self::validate::{Validation, validate};
use crate::config::Stack;
use crate::env::{Env, temporary_key};
use crate::failure::Failure;
use crate::fs::{Lock, LockError, found};
use crate::release::Source;
use crate::signals::Stop;
use crate::state::plan_store::PlanStore;
use crate::state::store::Store;
use crate::tools::git;
use crate::tools::tofu::{Tofu, backend, hcl};

pub use crate::needs::PASSPHRASE;

/// Credentials of providers and of the state's bucket.
const CREDENTIALS: [&str; 6] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CLOUDFLARE_API_TOKEN",
    "SCW_SECRET_KEY",
    "AWS_ACCESS_KEY_ID",
    "SCW_ACCESS_KEY",
];

/// What goes with the credentials and is not secret; and what every program needs: home, proxies, certificates.
const PASSED_ON: [&str; 26] = [
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_ROUTE_53",
    "AWS_ENDPOINT_URL_STS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "CLOUDFLARE_BASE_URL",
    "SCW_API_URL",
    "SCW_DEFAULT_ORGANIZATION_ID",
    "SCW_DEFAULT_PROJECT_ID",
    "SCW_DEFAULT_REGION",
    "SCW_DEFAULT_ZONE",
    "TF_REATTACH_PROVIDERS",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
];

/// How long a command waits for another one that uses the same working folder. An apply takes longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// An environment's OpenTofu working folder, `.deploy/<name>/tofu`. It is locked until this is dropped.
pub struct Workspace<'a> {
    /// The environment.
    pub env: &'a Env<'a>,
    /// The environment's stack in deploy.yaml.
    pub stack: &'a Stack,
    /// What the stack's files are of.
    pub source: Source,
    /// The project's root, or a folder with the files of a commit that is not checked out.
    root: Utf8PathBuf,
    /// Found by `init`.
    program: OnceCell<Utf8PathBuf>,
    _lock: Lock,
}

impl<'a> Workspace<'a> {
    /// Creates the working folder where it is missing, and locks it. `source` is what is checked out. `command` is shown to other
    /// commands that need it.
    pub async fn enter(env: &'a Env<'a>, source: Source, command: &str) -> Result<Self, Failure> {
        Self::lock(env, source, command).await?.with_files_at(env.root().to_owned())
    }

    /// The same with the stack's files of a commit, whatever is checked out. `variables` and `protect` are those of today's
    /// deploy.yaml.
    pub async fn of_commit(env: &'a Env<'a>, source: &Source, command: &str) -> Result<Self, Failure> {
        if git::source(env.root(), git::Filters::Run).await? == *source {
            return Self::enter(env, source.clone(), command).await;
        }
        let workspace = Self::lock(env, source.clone(), command).await?;
        let root = workspace.folder().join("commit");
        found(fs_err::remove_dir_all(&root)).context("remove the files of another commit")?;
        // All of it: a stack may read files beside its folder.
        let files = git::Context::all(env.root(), &source.commit).await;
        let files = files.with_context(|| format!("read the files of {}", source.version))?;
        files.unpack(&root).await?;
        workspace.with_files_at(root)
    }

    async fn lock(env: &'a Env<'a>, source: Source, command: &str) -> Result<Self, Failure> {
        let stack = env.stack()?;
        let folder = env.folder().join("tofu");
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).with_context(|| format!("create {folder}"))?;
        fs_err::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).context("restrict access to it")?;
        let lock = Lock::take(&folder.join("lock"), command, PATIENCE).await.map_err(|error| match error {
            LockError::Held { holder, .. } => Failure::Locked(anyhow!(
                "another command is using {} in this checkout: {holder}\n  wait until it has finished",
                env.name()
            )),
            LockError::Broken { .. } => anyhow!(error).into(),
        })?;
        Ok(Self { env, stack, source, root: env.root().to_owned(), program: OnceCell::new(), _lock: lock })
    }

    fn with_files_at(self, root: Utf8PathBuf) -> Result<Self, Failure> {
        let workspace = Self { root, ..self };
        if workspace.stack_folder().is_dir() {
            return Ok(workspace);
        }
        let (name, folder, version) = (workspace.name(), &workspace.stack.folder, &workspace.source.version);
        let text = format!("the stack of {name}, {folder}, is not a folder of this project in {version}");
        Err(Failure::Usage(anyhow!(text)))
    }

    /// The environment's name.
    pub fn name(&self) -> &'a str {
        self.env.name()
    }

    /// Where the kept plan is: in the environment's store, so that it can be approved and applied on another machine. A plan
    /// stays on this machine if it is not encrypted, or if the bucket's key is one that only OpenTofu can read.
    pub fn plan_store(&self) -> Result<PlanStore, Failure> {
        let store = match self.local_plans()? {
            None => self.env.store()?.clone(),
            Some(_) => Store::folder(self.folder().join("plan")),
        };
        Ok(PlanStore::new(store))
    }

    /// Why plans stay on this machine; none if they are in the environment's store.
    pub fn local_plans(&self) -> Result<Option<String>> {
        if !self.stack.state.encrypted {
            return Ok(Some("plans are not encrypted".to_owned()));
        }
        if self.env.state_key("AWS_ACCESS_KEY_ID")?.is_some() {
            return Ok(None);
        }
        Ok(temporary_key().map(|variable| format!("the bucket's key comes from {variable}, which only OpenTofu reads")))
    }

    fn folder(&self) -> Utf8PathBuf {
        self.env.folder().join("tofu")
    }

    fn stack_folder(&self) -> Utf8PathBuf {
        self.root.join(&self.stack.folder)
    }

    /// The program with every credential and variable that it needs to read and change the state.
    fn tofu(&self) -> Result<Tofu, Failure> {
        let env = self.env;
        let mut tofu = self.tofu_without_secrets("data")?;
        let of_media = |name: &&str| name.starts_with("AWS_") && env.leaves_aws_to_media();
        for name in CREDENTIALS.into_iter().filter(|name| !of_media(name)) {
            if let Some(value) = env.secret(name)? {
                tofu = tofu.secret(name, value);
            }
        }
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            if let Some(value) = env.state_key(name)? {
                tofu = tofu.secret(name, value);
            }
        }
        let variables = env.secrets_with("TF_VAR_")?;
        for (name, value) in &self.stack.variables {
            let name = format!("TF_VAR_{name}");
            if !variables.contains_key(&name) {
                tofu = tofu.env(name, value);
            }
        }
        for (name, value) in variables {
            // A map of secrets is one variable, and a provider may print one of its values.
            hcl::texts(value.expose_secret()).iter().for_each(|text| env.report.redactor().learn_value(text));
            tofu = tofu.secret(name, value);
        }
        if self.stack.state.encrypted {
            tofu = tofu.encrypted(passphrase(env)?);
        }
        Ok(tofu)
    }

    /// The program without any secret. `data` is the name of its data folder.
    fn tofu_without_secrets(&self, data: &str) -> Result<Tofu> {
        let program = self.program.get().context("the working folder is not initialized")?;
        let mut tofu = Tofu::new(program.clone(), self.stack_folder());
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
                tofu = tofu.env(name, value);
            }
        }
        // OpenTofu complains in every run about a file that is named and missing.
        let cli_config = std::env::var_os("TF_CLI_CONFIG_FILE").filter(|path| std::path::Path::new(path).is_file());
        let cli_config = cli_config.unwrap_or_else(|| self.folder().join(init::CLI_CONFIG).into());
        Ok(tofu.env("TF_CLI_CONFIG_FILE", cli_config).env("TF_DATA_DIR", self.folder().join(data).as_str()))
    }

    /// Runs the program for an answer, and changes nothing. A request to stop ends it.
    async fn query<T>(&self, stop: &Stop, work: impl Future<Output = Result<T>>) -> Result<T, Failure> {
        stop.cancels("nothing was changed", async { work.await.map_err(|error| drive::explain(self, error)) }).await
    }
}

/// The passphrase of state and plans.
pub fn passphrase(env: &Env<'_>) -> Result<SecretString, Failure> {
    let file = env.file();
    let put = format!("put it into {} (mode 0600) or into the environment", file.file_name().unwrap_or_default());
    let passphrase = env.secret(PASSPHRASE)?.ok_or_else(|| {
        Failure::Refused(anyhow!(
            "state and plans of {} are encrypted, and {PASSPHRASE} has no value\n  {put}; to generate one: openssl rand -hex 32",
            env.name()
        ))
    })?;
    let (length, least) = (passphrase.expose_secret().len(), backend::SHORTEST_PASSPHRASE);
    if length < least {
        let text = format!("{PASSPHRASE} has {length} bytes; OpenTofu requires at least {least}\n  {put}");
        return Err(Failure::Refused(anyhow!(text)));
    }
    Ok(passphrase)
}

/// The path relative to the project's root.
fn relative<'a>(root: &Utf8Path, path: &'a Utf8Path) -> &'a Utf8Path {
    path.strip_prefix(root).unwrap_or(path)
}
