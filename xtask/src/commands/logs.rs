//! `logs`

use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8Path;
use clap::Args;
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::env::Env;
use crate::failure::Failure;
use crate::fs::{project, tail};
use crate::targets::{Log, Target};

/// Between two questions for new lines, when there were none.
const POLL: Duration = Duration::from_secs(1);

/// Show the end of the service's log
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask logs
  cargo xtask logs local -n 200 --follow
  cargo xtask logs production --follow

The log of a stack's container is in Scaleway's Cockpit: COCKPIT_LOGS_URL and COCKPIT_TOKEN in .env.<ENV> name its address and a token \
that may query logs. It has what was logged in the last 7 days, and new lines some seconds after they were written.

At Easypanel it is that of the services' containers, where `host` of deploy.yaml names the machine on which the panel runs them. With \
several services, each line begins with the service's name.

With containers, --follow shows what those write that run at its beginning, and ends with them.")]
pub struct LogsArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// The number of lines to show
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    lines: usize,
    /// Also show new lines, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

impl LogsArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        match Target::of(env) {
            Target::Local(local) => self.of_file(env, &local.log()).await,
            Target::Host(host) => of_containers(context, host.show_log(self.lines, self.follow)).await,
            Target::Easypanel(panel) => of_containers(context, panel.show_log(self.lines, self.follow)).await,
            Target::Stack(stack) => {
                // In order by itself when a stop is requested: only `--follow` waits.
                let log = context.stop.cancels("nothing was changed", Box::pin(stack.log())).await?;
                self.of_platform(env, log).await
            }
        }
    }

    async fn of_platform(&self, env: &Env<'_>, mut log: Log) -> Result<(), Failure> {
        let show = |lines: Vec<String>| {
            for line in lines {
                env.report.excerpt(json!({ "line": line }), &line);
            }
        };
        show(env.stop.cancels("nothing was changed", log.last(self.lines)).await?);
        while self.follow && !env.report.is_unread() {
            let more = async {
                let (lines, has_more) = log.more().await?;
                if !has_more && lines.is_empty() {
                    tokio::time::sleep(POLL).await;
                }
                Ok::<_, Failure>(lines)
            };
            tokio::select! {
                lines = more => show(lines?),
                // Ctrl-C ends `--follow`.
                _ = env.stop.requested() => return Ok(()),
            }
        }
        Ok(())
    }

    async fn of_file(&self, env: &Env<'_>, path: &Utf8Path) -> Result<(), Failure> {
        let (lines, follow) = (self.lines, self.follow);
        let folder = env.folder();
        let place = match path.strip_prefix(&folder) {
            // A tree can bring a link in its place.
            Ok(name) if folder.exists() => {
                project::own_place(&folder, name).with_context(|| format!("look at {path}"))?
            }
            _ => None,
        };
        if place.is_none() {
            return Err(anyhow!("there is no log yet at {path}; type: cargo xtask deploy {}", env.name()).into());
        }
        for line in tail(path, lines).with_context(|| format!("read {path}"))? {
            env.report.excerpt(json!({ "line": line }), &line);
        }
        if !follow {
            return Ok(());
        }
        let mut file = open(path)?;
        file.seek(SeekFrom::End(0)).context("seek to the end of the log")?;
        let mut line = String::new();
        while !env.report.is_unread() {
            match file.read_line(&mut line).with_context(|| format!("read {path}"))? {
                0 => {
                    // Polls, because a file gives no notice of new lines. A file that is shorter than what was read is a new one.
                    let length = fs_err::metadata(path).map_or(0, |data| data.len());
                    if file.stream_position().context("read the position in the log")? > length {
                        file = open(path)?;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(200)) => {}
                        // Ctrl-C ends `--follow`.
                        _ = env.stop.requested() => return Ok(()),
                    }
                }
                _ if !line.ends_with('\n') => {}
                _ => {
                    env.report.excerpt(json!({ "line": line.trim_end() }), line.trim_end());
                    line.clear();
                }
            }
        }
        Ok(())
    }
}

async fn of_containers(context: &Context<'_>, show: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        shown = Box::pin(show) => shown,
        // Ctrl-C ends `--follow`.
        _ = context.stop.requested() => Ok(()),
    }
}

fn open(path: &Utf8Path) -> Result<BufReader<fs_err::File>> {
    Ok(BufReader::new(fs_err::File::open(path)?))
}
