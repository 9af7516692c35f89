//! `tofu init`: installs the stack's providers and connects its backend.

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;
use serde::Deserialize;

use super::drive::drive;
use super::{Workspace, relative};
use crate::config::StackProgram;
use crate::failure::Failure;
use crate::fs::{found, read_file, read_text, replace_file};
use crate::hash::{files_below, sha256, sha256_file};
use crate::report::{Ongoing, Summary};
use crate::signals::Stop;
use crate::tools::git;
use crate::tools::tofu::{self, Found, Tofu, backend};

/// The program's own settings, in the working folder.
pub const CLI_CONFIG: &str = "cli.tfrc";

/// The dependency lock file, in which a stack pins its providers.
pub const LOCK_FILE: &str = ".terraform.lock.hcl";

/// The backend's settings, in the working folder. There is no secret in it.
const BACKEND: &str = "backend.tfbackend";

/// What the program remembers about its backend.
const BACKEND_DATA: &str = "data/terraform.tfstate";

/// The fingerprint of everything that the last `init` depended on, and the program that ran it.
const FINGERPRINT: &str = "initialised";

/// A working folder that is ready to plan and apply.
#[derive(Clone, Debug)]
pub struct Initialized {
    /// `tofu` or `terraform`.
    pub program: &'static str,
    /// The program's version. None if the folder was ready before, and the program was not asked.
    pub version: Option<String>,
    /// The state's bucket.
    pub bucket: String,
}

/// Initializes the working folder, whether or not something has changed.
pub async fn init(workspace: &Workspace<'_>, step: &Ongoing, stop: &Stop) -> Result<Initialized, Failure> {
    let (env, stack) = (workspace.env, workspace.stack);
    let settings = backend::settings(&stack.state, &env.state_object()?);
    let fingerprint = fingerprint(workspace)?;
    let Found { program, version } = find_program(workspace).await?;
    // A missing secret is reported before anything is changed.
    let tofu = workspace.tofu()?;
    let backend = workspace.folder().join(BACKEND);
    if read_text(&backend).is_ok_and(|before| before != settings) {
        let (name, location) = (env.name(), env.state_location()?);
        env.report.warn(&format!(
            "the state of {name} was in another location when it was last used in this checkout; it is now {location}, \
             and nothing was moved there"
        ));
    }
    replace_file(&backend, settings.as_bytes())?;
    write_cli_config(workspace)?;
    // OpenTofu would keep using the earlier backend if the stack no longer declares one.
    found(fs_err::remove_file(workspace.folder().join(BACKEND_DATA))).context("remove the earlier backend")?;
    let has_lock_file = has_lock_file(workspace).await?;
    let init = tofu.init(Some(&backend), has_lock_file);
    drive(workspace, &init, stop, |_| step.progress("init")).await?.success(workspace, "init")?;
    check_backend(workspace)?;
    replace_file(&workspace.folder().join(FINGERPRINT), format!("{fingerprint}\n{program}").as_bytes())?;
    let lock_file = stack.folder.join(LOCK_FILE);
    if !has_lock_file && workspace.root.join(&lock_file).exists() {
        env.report.warn(&format!(
            "{lock_file} is not committed: commit it with your next change\n  type: git add {lock_file}"
        ));
    }
    Ok(Initialized { program: tofu::name(stack.program), version: Some(version), bucket: stack.state.bucket.clone() })
}

/// Initializes the working folder if something has changed since the last time.
pub async fn init_if_changed(workspace: &Workspace<'_>, step: &Ongoing, stop: &Stop) -> Result<Initialized, Failure> {
    if !is_initialized(workspace)? {
        return init(workspace, step, stop).await;
    }
    let stack = workspace.stack;
    Ok(Initialized { program: tofu::name(stack.program), version: None, bucket: stack.state.bucket.clone() })
}

/// Whether the working folder was initialized with the same stack, backend and program.
pub fn is_initialized(workspace: &Workspace<'_>) -> Result<bool, Failure> {
    let last = found(read_text(workspace.folder().join(FINGERPRINT))).context("read its fingerprint")?;
    let last = last.unwrap_or_default();
    let Some((last, program)) = last.split_once('\n') else { return Ok(false) };
    if last != fingerprint(workspace)? {
        return Ok(false);
    }
    workspace.program.get_or_init(|| program.into());
    Ok(true)
}

/// Installs the stack's providers without connecting its backend: all that validation needs. No secret is needed.
pub(super) async fn init_without_backend(workspace: &Workspace<'_>, stop: &Stop) -> Result<Tofu, Failure> {
    write_cli_config(workspace)?;
    find_program(workspace).await?;
    let tofu = workspace.tofu_without_secrets("validate")?;
    let init = tofu.init(None, has_lock_file(workspace).await?);
    drive(workspace, &init, stop, |_| {}).await?.success(workspace, "init")?;
    Ok(tofu)
}

/// A hash over what `init` depends on: backend, available programs, and the stack's files.
pub(super) fn fingerprint(workspace: &Workspace<'_>) -> Result<String, Failure> {
    let (env, stack) = (workspace.env, workspace.stack);
    let settings = backend::settings(&stack.state, &env.state_object()?);
    let mut text = format!("{settings}\n{}\n", tofu::name(stack.program));
    // An upgrade replaces the program at its path.
    for path in tofu::candidates(stack.program)? {
        let meta = fs_err::metadata(&path).and_then(|meta| Ok((meta.len(), meta.modified()?)));
        text.push_str(&format!("{path} {:?}\n", meta.context("look for OpenTofu")?));
    }
    let is_read = |path: &Utf8PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name == LOCK_FILE || [".tf", ".tofu", ".tf.json", ".tofu.json"].iter().any(|end| name.ends_with(end))
    };
    for path in files_below(&workspace.stack_folder())?.iter().filter(|path| is_read(path)) {
        text.push_str(&format!("{} {}\n", relative(&workspace.root, path), sha256_file(path)?));
    }
    Ok(sha256(text.as_bytes()))
}

async fn find_program(workspace: &Workspace<'_>) -> Result<Found, Failure> {
    let program = workspace.stack.program;
    let found = tofu::find(program).await.with_context(|| match program {
        StackProgram::Tofu => "find OpenTofu; to install it: cargo xtask setup".to_owned(),
        StackProgram::Terraform => format!("find Terraform; what to do: cargo xtask doctor {}", workspace.name()),
    })?;
    workspace.program.get_or_init(|| found.program.clone());
    Ok(found)
}

fn write_cli_config(workspace: &Workspace<'_>) -> Result<()> {
    let text = "# Written by cargo xtask tofu, in place of the user's own settings.\ndisable_checkpoint = true\n";
    replace_file(&workspace.folder().join(CLI_CONFIG), text.as_bytes())
}

/// Whether the checked-out commit has the dependency lock file. Only the providers in it are accepted then.
async fn has_lock_file(workspace: &Workspace<'_>) -> Result<bool> {
    let file = workspace.stack.folder.join(LOCK_FILE);
    Ok(git::show(workspace.env.root(), &workspace.source.commit, file.as_str()).await?.is_some())
}

/// Fails if the stack declares no backend: OpenTofu then ignores the backend's settings and keeps the state in the stack's
/// folder.
fn check_backend(workspace: &Workspace<'_>) -> Result<()> {
    #[derive(Deserialize)]
    struct Data {
        backend: Option<Backend>,
    }
    #[derive(Deserialize)]
    struct Backend {
        #[serde(rename = "type")]
        kind: String,
    }
    let data = found(read_file(workspace.folder().join(BACKEND_DATA)))?;
    let data: Option<Data> = data.map(|data| serde_json::from_slice(&data)).transpose().context("read the backend")?;
    if data.and_then(|data| data.backend).is_some_and(|backend| backend.kind == "s3") {
        return Ok(());
    }
    Err(anyhow!(
        "the stack {} does not declare the backend `s3`\n  \
         add to it: terraform {{ backend \"s3\" {{}} }}, without settings: they come from deploy.yaml",
        workspace.stack.folder
    ))
}

impl Summary for Initialized {
    fn summary(&self) -> String {
        let version = self.version.iter().map(|version| format!(" {version}")).collect::<String>();
        format!("{}{version}, state in {}", self.program, self.bucket)
    }

    fn is_reused(&self) -> bool {
        self.version.is_none()
    }
}
