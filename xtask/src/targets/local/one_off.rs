//! A process beside the service: the program of the release that serves, with other arguments.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Result;

use super::Local;
use crate::fs::Owner;
use crate::release::{Published, Settings};
use crate::supervisor::InstanceSpec;

/// What such a process inherits beside the release's settings.
const INHERITED: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TERM", "TZ"];

impl Local<'_> {
    /// The release's program with these arguments: with its settings and secrets, in its folder, as the service's user, with this
    /// process's standard input and output.
    pub async fn one_off(&self, published: &Published, settings: &Settings, args: &[String]) -> Result<Command> {
        let spec = self.instance(String::new(), published, settings).await?;
        let InstanceSpec { program, dir, env, secrets, user, .. } = spec;
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(env).envs(secrets);
        if let Some(Owner { uid, gid }) = user {
            // The standard library drops the further groups of root, too.
            command.uid(uid).gid(gid).env("HOME", "/");
        }
        Ok(command)
    }
}
