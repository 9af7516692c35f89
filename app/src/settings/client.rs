//! What `app import` and `app migrate-auth` read of the environment. These are no settings of the service: it has no use for them.

use std::path::PathBuf;

use anyhow::Context as _;
use secrecy::SecretString;

/// Their names.
pub(super) const NAMES: [&str; 4] = [API_KEY, SERVICE_ROLE_KEY, "XDG_STATE_HOME", "HOME"];

const API_KEY: &str = "APP_API_KEY";
const SERVICE_ROLE_KEY: &str = "SUPABASE_SERVICE_ROLE_KEY";

/// `APP_API_KEY`: in the environment, because every user of a machine sees the arguments of its programs.
pub fn api_key() -> Option<SecretString> {
    secret(API_KEY)
}

/// `SUPABASE_SERVICE_ROLE_KEY`: a key that may do all in a project. The service is never given one.
pub fn service_role_key() -> Option<SecretString> {
    secret(SERVICE_ROLE_KEY)
}

/// The folder for what is kept between two runs: `app` in `XDG_STATE_HOME`, or in `~/.local/state`
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>).
///
/// # Errors
/// If neither that variable nor `HOME` has an absolute path.
pub fn state_folder() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Ok(state.context("set HOME or XDG_STATE_HOME: unfinished uploads are noted there")?.join("app"))
}

fn secret(name: &str) -> Option<SecretString> {
    std::env::var(name).ok().filter(|key| !key.is_empty()).map(SecretString::from)
}
