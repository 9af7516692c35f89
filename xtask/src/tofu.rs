//! An environment's stack: what all `tofu` commands work on.

pub mod apply;
pub mod approval;
pub mod drive;
pub mod guard;
pub mod mend;
pub mod output;
pub mod plan;
pub mod ready;
pub mod summary;
pub mod validate;
pub mod variables;

use std::cell::OnceCell;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, flock};
use secrecy::{ExposeSecret as _, SecretString};

use self::approval::Shelf;
use crate::bootstrap;
use crate::check::Check;
use crate::config::{Config, Stack, StackProgram};
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Report;
use crate::secrets::Secrets;
use crate::tools::tofu::{self, Tofu, backend};

/// The variable that holds the passphrase of state and plans.
pub const PASSPHRASE: &str = "TF_STATE_PASSPHRASE";

/// Credentials that providers and the backend take from the environment, by the names that are theirs.
const CREDENTIALS: [&str; 6] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CLOUDFLARE_API_TOKEN",
    "SCW_SECRET_KEY",
    "AWS_ACCESS_KEY_ID",
    "SCW_ACCESS_KEY",
];

/// What goes with them and is no secret; and what every program takes to find its way: home, proxies, certificates.
const PASSED_ON: [&str; 25] = [
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_ROUTE_53",
    "AWS_ENDPOINT_URL_STS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
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

/// The stack of one environment, and what an operation needs to work on it.
pub struct Infra<'a> {
    /// The environment.
    pub env: &'a Env<'a>,
    /// All of deploy.yaml.
    pub config: &'a Config,
    /// The environment's name.
    pub name: &'a str,
    /// The environment's stack in deploy.yaml.
    pub stack: &'a Stack,
    /// Where progress is shown.
    pub report: Report,
    /// `.deploy/<name>/tofu`: all of it can be thrown away but a state that could not be saved.
    folder: Utf8PathBuf,
    secrets: Secrets,
    /// The program, once it has been looked for.
    program: OnceCell<Utf8PathBuf>,
}

impl<'a> Infra<'a> {
    /// The stack of an environment, with the secrets that OpenTofu needs. Fails where there is no stack.
    pub fn find(env: &'a Env<'a>) -> Result<Self, Failure> {
        let (config, stack) = (env.config, env.stack()?);
        if !config.root.join(&stack.folder).is_dir() {
            let folder = &stack.folder;
            let name = env.name();
            return Err(Failure::Usage(anyhow!("the stack of {name}, {folder}, is not a folder of this project")));
        }
        let mut secrets = Secrets::default();
        for name in CREDENTIALS.into_iter().chain([PASSPHRASE]) {
            if let Some(value) = env.secret(name)? {
                secrets.insert(name, value);
            }
        }
        for (name, value) in env.secrets_with("TF_VAR_")? {
            // A map of secrets is one variable, and a provider may print one of them.
            tofu::hcl::texts(value.expose_secret()).iter().for_each(|text| env.report.redactor().learn_value(text));
            secrets.insert(name, value);
        }
        let (report, folder) = (env.report.clone(), env.folder().join("tofu"));
        Ok(Self { env, config, name: env.name(), stack, report, folder, secrets, program: OnceCell::new() })
    }

    /// The object that holds the state.
    pub fn state_key(&self) -> String {
        self.stack.state.key.clone().unwrap_or_else(|| format!("{}/{}.tfstate", self.config.project, self.name))
    }

    /// Where the state is, for people.
    pub fn state_place(&self) -> String {
        let state = &self.stack.state;
        let at = state.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("{}/{}{at}", state.bucket, self.state_key())
    }

    /// Where its plan is kept.
    pub fn shelf(&self) -> Shelf {
        Shelf::new(&self.folder)
    }

    /// The folder of a state that an apply could not save; there is none when all is well.
    pub fn unsaved_state(&self) -> Utf8PathBuf {
        self.folder.join("unsaved")
    }

    /// The environment's folder for this, made where it is missing: nobody else may look into it. Nobody works in it but
    /// whoever holds what is returned.
    pub fn enter(&self, message: &str) -> Result<fs_err::File, Failure> {
        use std::io::{Read as _, Seek as _, Write as _};
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.folder).with_context(|| format!("make {}", self.folder))?;
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs_err::set_permissions(&self.folder, closed).context("close it to others")?;
        let path = self.folder.join("lock");
        let mut lock = fs_err::OpenOptions::new();
        let mut lock = lock.create(true).truncate(false).read(true).write(true).open(path).context("open the lock")?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            lock.read_to_string(&mut holder).ok();
            return Err(Failure::Locked(anyhow!(
                "{} is worked on in this checkout: {}\n  wait for it",
                self.name,
                holder.trim()
            )));
        }
        let text = format!("cargo xtask tofu {message} {}, process {}\n", self.name, std::process::id());
        let write = lock.rewind().and_then(|()| lock.set_len(0)).and_then(|()| lock.write_all(text.as_bytes()));
        write.context("write who holds the lock")?;
        Ok(lock)
    }

    /// The program with all that it takes to read and change the state.
    pub fn tofu(&self) -> Result<Tofu, Failure> {
        let mut tofu = self.bare_tofu("data");
        for (name, value) in self.secrets.iter().filter(|(name, _)| *name != PASSPHRASE) {
            tofu = tofu.secret(name, value.clone());
        }
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            if let Some(value) = self.env.state_key(name)? {
                tofu = tofu.secret(name, value);
            }
        }
        for (name, value) in &self.stack.variables {
            if self.secrets.get(&format!("TF_VAR_{name}")).is_none() {
                tofu = tofu.env(format!("TF_VAR_{name}"), value);
            }
        }
        if self.stack.state.encrypted {
            tofu = tofu.encrypted(self.passphrase()?.clone());
        }
        Ok(tofu)
    }

    /// The program without any secret, with a data folder of that name.
    fn bare_tofu(&self, data: &str) -> Tofu {
        // Nobody looked for it: then it is whatever the `PATH` says.
        let program = self.program.get().cloned().unwrap_or_else(|| tofu::name(self.stack.program).into());
        let mut tofu = Tofu::new(program, self.config.root.join(&self.stack.folder));
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
                tofu = tofu.env(name, value);
            }
        }
        // A file that is named and missing is complained of in every run.
        let cli_config = std::env::var_os("TF_CLI_CONFIG_FILE").filter(|path| std::path::Path::new(path).is_file());
        let cli_config = cli_config.unwrap_or_else(|| self.folder.join(ready::CLI_CONFIG).into());
        tofu.env("TF_CLI_CONFIG_FILE", cli_config).env("TF_DATA_DIR", self.folder.join(data).as_str())
    }

    /// The passphrase of state and plans.
    fn passphrase(&self) -> Result<&SecretString, Failure> {
        let put = format!("put it into .env.{} (mode 0600) or into the environment", self.name);
        let passphrase = self.secrets.get(PASSPHRASE).ok_or_else(|| {
            Failure::Refused(anyhow!(
                "state and plans of {} are encrypted, and {PASSPHRASE} has no value\n  {put}; a new one: openssl rand -hex 32",
                self.name
            ))
        })?;
        let length = passphrase.expose_secret().len();
        if length < backend::SHORTEST_PASSPHRASE {
            let least = backend::SHORTEST_PASSPHRASE;
            return Err(Failure::Refused(anyhow!(
                "{PASSPHRASE} has {length} bytes, and takes {least} at least\n  {put}"
            )));
        }
        Ok(passphrase)
    }

    /// Asks something of the program that changes nothing, until it is there or a signal comes.
    async fn ask<T>(&self, what: impl Future<Output = Result<T>>) -> Result<T, Failure> {
        let what = async { what.await.map_err(|error| drive::explain(self, error)) };
        self.env.stop.cancels("nothing was changed", what).await
    }
}

/// What doctor shows of an environment with a stack.
pub async fn checks(env: &Env<'_>) -> Result<Vec<Check>, Failure> {
    let (infra, config, name) = (Infra::find(env)?, env.config, env.name());
    let program = infra.stack.program;
    let mend = match program {
        StackProgram::Tofu => "cargo xtask setup; or install OpenTofu: https://opentofu.org/docs/intro/install",
        StackProgram::Terraform => "install Terraform 1.11 or newer, or write `program: tofu`",
    };
    let mut checks = vec![Check::of(
        tofu::name(program),
        tofu::find(program).await,
        |found| format!("{}, {}", found.version, found.program),
        mend,
    )];
    if infra.stack.state.encrypted {
        checks.push(match infra.passphrase() {
            Ok(_) => Check::good("passphrase", format!("{PASSPHRASE} has a value")),
            Err(failure) => bad("passphrase", failure),
        });
    }
    checks.push(bootstrap::state::check(env).await);
    checks.extend(variables::check(&infra));
    let lock_file = infra.stack.folder.join(ready::LOCK_FILE);
    let committed = crate::tools::git::show(&config.root, "HEAD", lock_file.as_str()).await;
    checks.push(match committed {
        Ok(Some(_)) => Check::good("providers", format!("pinned by {lock_file}")),
        _ => Check::doubtful(
            "providers",
            format!(
                "{lock_file} is not committed, and nothing says which builds of its providers are the right ones; \
                 commit the one that this writes: cargo xtask tofu init {name}"
            ),
        ),
    });
    Ok(checks)
}

/// A failure as a check: what it says to do stands on its last line.
pub fn bad(name: &'static str, failure: Failure) -> Check {
    let text = format!("{:#}", failure.into_error());
    let (found, mend) = text.rsplit_once("\n  ").unwrap_or((&text, "see what it says"));
    Check::bad(name, found, mend)
}

/// The path as it is typed in the project's root.
fn shown<'a>(root: &Utf8Path, path: &'a Utf8Path) -> &'a Utf8Path {
    path.strip_prefix(root).unwrap_or(path)
}
