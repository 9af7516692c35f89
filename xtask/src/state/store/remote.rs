//! A store in a folder of another machine, by plain commands over SSH. Writers exclude each other by flock(1) there.

use std::time::Duration;

use super::{ErrorKind, Put, Result, StoreError, Versioned};
use crate::hash::sha256;
use crate::tools::ssh::Remote;

/// The exit code of a script: there is no such object, or another version.
const NOT_SO: i32 = 3;

/// The folder, in a shell: relative to the user's folder for states.
const ROOT: &str = "root=${XDG_STATE_HOME:-$HOME/.local/state}/xtask";

#[derive(Clone, Debug)]
pub struct RemoteFolder {
    remote: Remote,
    /// `<project>/<environment>`
    prefix: String,
}

impl RemoteFolder {
    pub(super) fn new(remote: Remote, prefix: String) -> Self {
        Self { remote, prefix }
    }

    pub(super) fn location(&self) -> String {
        format!("{}/~/.local/state/xtask/{}", self.remote.address(), self.prefix)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Versioned>> {
        // Its age first, by that machine's clock.
        let script = format!(
            "[ -e \"$f\" ] || exit {NOT_SO}; [ -f \"$f\" ] || {{ echo 'this is not a file' >&2; exit 1; }}; \
             echo $(($(date +%s) - $(stat -c %Y \"$f\"))); cat \"$f\""
        );
        let (code, output) = self.run("read", key, &script, Vec::new()).await?;
        if code == NOT_SO {
            return Ok(None);
        }
        let end = output.iter().position(|byte| *byte == b'\n').unwrap_or(output.len());
        let age = std::str::from_utf8(&output[..end]).ok().and_then(|age| age.parse::<i64>().ok());
        let age = age.ok_or_else(|| self.error("read", key, "it did not tell the object's age".to_owned()))?;
        let bytes = output[end + 1..].to_vec();
        let age = Duration::from_secs(age.max(0).unsigned_abs());
        Ok(Some(Versioned { etag: sha256(&bytes), bytes, age: Some(age) }))
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let script = "[ -d \"$f\" ] || exit 0; cd \"$f\" && find . -type f ! -name '.*'";
        let (_, output) = self.run("list", prefix, script, Vec::new()).await?;
        let names = String::from_utf8_lossy(&output).into_owned();
        let names = names.lines().filter_map(|name| name.strip_prefix("./"));
        let mut keys: Vec<String> = names.map(|name| format!("{prefix}{name}")).collect();
        keys.sort();
        Ok(keys)
    }

    /// Writes over the version with this ETag; without one, only if there is no object.
    pub(super) async fn put(&self, key: &str, bytes: &[u8], expected: Option<&str>) -> Result<Put> {
        // A connection that is cut leaves a part of the input.
        let script = format!(
            "umask 077; mkdir -p \"$(dirname \"$f\")\"; new=$(mktemp \"$root/.new.XXXXXXXX\"); trap 'rm -f \"$new\"' EXIT; \
             cat > \"$new\"; [ \"$(sha256sum < \"$new\" | cut -d ' ' -f 1)\" = {} ] || {{ echo 'a part arrived' >&2; exit 1; }}; \
             exec 9> \"$root/.lock\"; flock -w 10 9; old=; \
             [ ! -e \"$f\" ] || old=$(sha256sum < \"$f\" | cut -d ' ' -f 1); [ \"$old\" = \"{}\" ] || exit {NOT_SO}; \
             sync \"$new\"; mv \"$new\" \"$f\"",
            sha256(bytes),
            expected.unwrap_or_default(),
        );
        match self.run("write", key, &script, bytes.to_vec()).await {
            Ok((NOT_SO, _)) => Ok(Put::Refused),
            Ok(_) => Ok(Put::Written { etag: sha256(bytes) }),
            // The connection may have been cut after the write.
            Err(error) => match self.get(key).await {
                Ok(Some(there)) if there.etag == sha256(bytes) => Ok(Put::Written { etag: there.etag }),
                _ => Err(error),
            },
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        self.run("delete", key, "rm -f \"$f\"", Vec::new()).await.map(drop)
    }

    /// Runs a script with the object's path in `$f`.
    async fn run(&self, tried: &'static str, key: &str, script: &str, input: Vec<u8>) -> Result<(i32, Vec<u8>)> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        let is_key = key.trim_end_matches('/').split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_key || !key.chars().all(is_plain) {
            return Err(self.error(tried, key, "this is not the key of an object".to_owned()));
        }
        let script = format!("set -eu; {ROOT}/{}; f=$root/{key}; {script}", self.prefix);
        let ran = self.remote.run(&script, input, &[NOT_SO]).await;
        ran.map_err(|error| self.error(tried, key, format!("{error:#}")))
    }

    fn error(&self, tried: &'static str, key: &str, reason: String) -> StoreError {
        StoreError { kind: ErrorKind::Other, location: self.location(), key: key.to_owned(), tried, reason }
    }
}
