//! The command line. People type it through the toolkit, so that is what the help shows.

use clap::{Args, Parser, Subcommand, ValueEnum};
use xtask::commands::rehearse::EXAMPLES;

/// Rehearse a deploy on this machine: bootstrap, deploy, break, recover, roll back, clean up
#[derive(Parser, Debug)]
#[command(
    name = "cargo xtask rehearse",
    bin_name = "cargo xtask rehearse",
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES
)]
pub struct Cli {
    /// Print events, one JSON object a line, on standard output; the last one is the account
    #[arg(long, global = true)]
    pub json: bool,

    /// Instead of a rehearsal
    #[command(subcommand)]
    pub command: Option<Command>,

    /// What is rehearsed
    #[command(flatten)]
    pub rehearse: RehearseArgs,
}

/// Instead of a rehearsal.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Remove what a rehearsal has left on this machine, also one that was killed
    Clean(CleanArgs),
}

/// What is rehearsed.
#[derive(Args, Debug)]
pub struct RehearseArgs {
    /// Environment in deploy.yaml; by default the only one with a stack
    #[arg(value_name = "ENV")]
    pub environment: Option<String>,
    /// What goes wrong, and is recovered from; may be repeated; by default health, crash and killed
    #[arg(long = "break", value_name = "BREAK")]
    pub breaks: Vec<Chosen>,
    /// Leave everything, and say how to look around
    #[arg(long)]
    pub keep: bool,
    /// Deploy as CI does, once: by the jobs of the rendered deploy workflow, without a terminal
    #[arg(long)]
    pub ci: bool,
}

/// `rehearse clean`.
#[derive(Args, Debug)]
pub struct CleanArgs {
    /// Environment in deploy.yaml; by default the only one with a stack
    #[arg(value_name = "ENV")]
    pub environment: Option<String>,
}

/// What `--break` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Chosen {
    /// The release never gets ready
    Health,
    /// The container ends at once
    Crash,
    /// The provider refuses the change of the container
    Apply,
    /// Another deploy takes the lease from one that was stopped
    Lease,
    /// The name leads elsewhere
    Dns,
    /// The bucket of the state is away
    State,
    /// The registry is away
    Registry,
    /// The deploy is killed while it applies
    Killed,
    /// All of these
    All,
}

impl RehearseArgs {
    /// The breaks that were chosen, each once, in the order in which they are rehearsed.
    pub fn breaks(&self) -> Vec<Chosen> {
        let every = || Chosen::value_variants().iter().copied().filter(|one| *one != Chosen::All);
        if self.breaks.contains(&Chosen::All) {
            return every().collect();
        }
        let default = [Chosen::Health, Chosen::Crash, Chosen::Killed];
        let chosen: &[Chosen] = if self.breaks.is_empty() { &default } else { &self.breaks };
        every().filter(|one| chosen.contains(one)).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_is_as_it_was() {
        let help = [&["--help"][..], &["clean", "--help"]].map(|args| {
            let command = Cli::command().term_width(100);
            let words = std::iter::once(&"rehearse").chain(args);
            command.try_get_matches_from(words).unwrap_err().to_string()
        });
        insta::assert_snapshot!("help", help.join("\n────\n"));
    }

    #[test]
    fn breaks_are_rehearsed_in_one_order_and_once() {
        let breaks = |words: &[&str]| {
            let words = std::iter::once(&"rehearse").chain(words);
            Cli::try_parse_from(words).unwrap().rehearse.breaks()
        };
        assert_eq!(breaks(&[]), [Chosen::Health, Chosen::Crash, Chosen::Killed]);
        let named = ["production", "--break", "state", "--break", "crash", "--break", "state"];
        assert_eq!(breaks(&named), [Chosen::Crash, Chosen::State]);
        assert_eq!(breaks(&["--break", "all", "--break", "dns"]).len(), 8);
    }

    #[test]
    fn cleaning_is_a_command_of_its_own() {
        let cli = Cli::try_parse_from(["rehearse", "clean", "production", "--json"]).unwrap();
        assert!(cli.json && matches!(cli.command, Some(Command::Clean(_))));
        assert!(Cli::try_parse_from(["rehearse", "production", "clean"]).is_err());
    }
}
