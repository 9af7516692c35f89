//! A process beside the service: the program of the release that serves, with other arguments, or another command in its files.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Result;

use super::{Local, releases};
use crate::fs::Owner;
use crate::release::{Published, PublishedForm, Settings};
use crate::supervisor::InstanceSpec;

/// What such a process inherits beside the release's settings.
const INHERITED: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TERM", "TZ"];

impl Local<'_> {
    /// The release's program with these arguments, or these as a whole command where one of deploy.yaml runs it, or for the image: with its settings and secrets, in its folder, as the service's user, with this
    /// process's standard input and output.
    pub async fn one_off(&self, published: &Published, settings: &Settings, args: &[String]) -> Result<Command> {
        let spec = self.instance(String::new(), published, settings).await?;
        let InstanceSpec { mut program, args: spec_args, dir, env, secrets, user, .. } = spec;
        let mut args = args.to_vec();
        match &published.form {
            PublishedForm::Command { .. } => {
                (program, args) = releases::resolve(&self.release_folder(&published.source.version).await?, &args)?;
            }
            // In the place of those for the image, behind those of what starts its container.
            PublishedForm::Image { .. } => {
                let own = spec_args.into_iter().take_while(|arg| arg != "--");
                args = own.chain(["--".to_owned()]).chain(args).collect();
            }
            PublishedForm::Folder { .. } => {}
        }
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
