//! `tofu init`: the stack's files, its providers and the place of its state are known to the program. Other commands do it
//! by themselves when something of it has changed.

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;
use serde::Deserialize;
use serde_json::json;

use super::drive::drive;
use super::{Infra, shown};
use crate::config::StackProgram;
use crate::failure::Failure;
use crate::hash::{files_below, sha256, sha256_file};
use crate::report::Step;
use crate::state::store::replace_file;
use crate::tools::tofu::{Found, backend};
use crate::tools::{git, tofu};

/// The program's own settings, in the environment's folder.
pub const CLI_CONFIG: &str = "cli.tfrc";

/// Where a stack pins its providers.
pub const LOCK_FILE: &str = ".terraform.lock.hcl";

/// Where the settings of the state's place are written, in the environment's folder. No secret is in it.
const BACKEND: &str = "backend.tfbackend";

/// Where the program keeps what it knows of the state's place.
const KNOWN: &str = "data/terraform.tfstate";

/// What the last `init` was made of.
const STAMP: &str = "initialised";

/// Gets ready, whether it is so already or not.
pub async fn init(infra: &Infra<'_>) -> Result<(), Failure> {
    let _lock = infra.enter("init")?;
    let version = prepare(infra, true).await?;
    let text = format!("{} is ready; its state is {}", infra.name, infra.state_place());
    let detail = json!({ "environment": infra.name, "stack": infra.stack.folder, "state": infra.state_place(), "version": version });
    infra.report.result(detail, &text);
    Ok(())
}

/// Gets ready if something has changed since that was done, or when it is asked for. Gives the program's version where it
/// was asked. The environment's folder is entered already.
pub async fn prepare(infra: &Infra<'_>, always: bool) -> Result<Option<String>, Failure> {
    // What it lacks is said before anything is changed.
    infra.tofu()?;
    let settings = backend::settings(&infra.stack.state, &infra.state_key());
    let stamp = stamp(infra)?;
    let (backend, written) = (infra.folder.join(BACKEND), infra.folder.join(STAMP));
    let last = fs_err::read_to_string(&written).unwrap_or_default();
    if let Some((last, program)) = last.split_once('\n')
        && last == stamp
        && !always
    {
        infra.program.get_or_init(|| program.into());
        return Ok(None);
    }
    let Found { program, version } = find(infra).await?;
    if fs_err::read_to_string(&backend).is_ok_and(|before| before != settings) {
        infra.report.warn(&format!(
            "the state of {} was somewhere else when it was last used here; it is {} now, and nothing was moved there",
            infra.name,
            infra.state_place()
        ));
    }
    replace_file(&backend, settings.as_bytes())?;
    write_cli_config(infra)?;
    // What it knows of an earlier place would stay where the stack names none any more.
    match fs_err::remove_file(infra.folder.join(KNOWN)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(anyhow!(error).into()),
        _ => {}
    }
    let step = infra.report.begin(Step::Provision);
    let stands = lock_file_stands(infra).await?;
    let ended = drive(infra, &infra.tofu()?.init(Some(&backend), stands), |_| step.progress("init")).await;
    let ended = ended.and_then(|ended| ended.good(infra, "get the stack ready"));
    if let Err(failure) = ended.and_then(|()| Ok(has_backend(infra)?)) {
        step.fail("failed");
        return Err(failure);
    }
    replace_file(&written, format!("{stamp}\n{program}").as_bytes())?;
    let name = tofu::name(infra.stack.program);
    step.finish(&format!("{name} {version}, state in {}", infra.stack.state.bucket));
    let lock_file = infra.stack.folder.join(LOCK_FILE);
    if !stands && infra.config.root.join(&lock_file).exists() {
        infra.report.warn(&format!("{lock_file} is not committed; type: git add {lock_file}, and commit it"));
    }
    Ok(Some(version))
}

/// Gets ready to look at the stack's files alone: without a state, and without any secret.
pub async fn prepare_without_state(infra: &Infra<'_>) -> Result<tofu::Tofu, Failure> {
    write_cli_config(infra)?;
    find(infra).await?;
    let program = infra.bare_tofu("validate");
    let init = program.init(None, lock_file_stands(infra).await?);
    drive(infra, &init, |_| {}).await?.good(infra, "get the stack's files ready")?;
    Ok(program)
}

/// Finds the program, for all that is done from here on.
async fn find(infra: &Infra<'_>) -> Result<Found, Failure> {
    let program = infra.stack.program;
    let found = tofu::find(program).await.with_context(|| match program {
        StackProgram::Tofu => "find OpenTofu; to install it: cargo xtask setup".to_owned(),
        StackProgram::Terraform => format!("find Terraform; what to do: cargo xtask doctor {}", infra.name),
    })?;
    infra.program.get_or_init(|| found.program.clone());
    Ok(found)
}

fn write_cli_config(infra: &Infra<'_>) -> Result<(), Failure> {
    let text = "# Written by cargo xtask tofu: the program's own settings are left out.\ndisable_checkpoint = true\n";
    Ok(replace_file(&infra.folder.join(CLI_CONFIG), text.as_bytes())?)
}

/// Whether the providers are pinned by the commit; then nothing but those is taken.
async fn lock_file_stands(infra: &Infra<'_>) -> Result<bool, Failure> {
    let file = infra.stack.folder.join(LOCK_FILE);
    Ok(git::show(&infra.config.root, "HEAD", file.as_str()).await?.is_some())
}

/// Without a backend in the stack, the program ignores where the state is to be, and keeps it in the stack's folder.
fn has_backend(infra: &Infra<'_>) -> Result<()> {
    #[derive(Deserialize)]
    struct Data {
        backend: Option<Backend>,
    }
    #[derive(Deserialize)]
    struct Backend {
        #[serde(rename = "type")]
        kind: String,
    }
    let data = fs_err::read(infra.folder.join(KNOWN)).ok();
    let data: Option<Data> = data.map(|data| serde_json::from_slice(&data)).transpose().context("read the backend")?;
    if data.and_then(|data| data.backend).is_some_and(|backend| backend.kind == "s3") {
        return Ok(());
    }
    Err(anyhow!(
        "the stack {} does not say that its state is in a bucket\n  \
         add to it: terraform {{ backend \"s3\" {{}} }}, without settings: they come from deploy.yaml",
        infra.stack.folder
    ))
}

/// What `init` depends on: where the state is, which programs there are, and all of the stack's files.
pub fn stamp(infra: &Infra<'_>) -> Result<String> {
    let settings = backend::settings(&infra.stack.state, &infra.state_key());
    let root = &infra.config.root;
    let mut text = format!("{settings}\n{}\n", tofu::name(infra.stack.program));
    // Another one at its place is another version.
    for path in tofu::candidates(infra.stack.program)? {
        let meta = fs_err::metadata(&path)?;
        text.push_str(&format!("{path} {} {:?}\n", meta.len(), meta.modified()?));
    }
    let is_read = |path: &Utf8PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name == LOCK_FILE || [".tf", ".tofu", ".tf.json", ".tofu.json"].iter().any(|end| name.ends_with(end))
    };
    for path in files_below(&root.join(&infra.stack.folder))?.iter().filter(|path| is_read(path)) {
        text.push_str(&format!("{} {}\n", shown(root, path), sha256_file(path)?));
    }
    Ok(sha256(text.as_bytes()))
}
