//! The toolkit.
mod secrets;
mod supervisor;
mod tool;

use clap::Parser as _;

#[derive(clap::Parser)]
enum Command {
    #[command(hide = true)]
    Supervise(supervisor::Supervise),
    #[command(hide = true)]
    SuperviseExec(supervisor::SuperviseExec),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Supervise(args) => supervisor::supervise(args),
        Command::SuperviseExec(args) => supervisor::exec(args).map(|never| match never {}),
    }
}
