//! The command line. People type it through the toolkit, which has the same flags.

use clap::{Parser, Subcommand};
use xtask::commands::rehearse::RehearseArgs;

/// Rehearses deploys.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub struct Cli {
    /// Print events, one JSON object a line, on standard output; the last one is the account
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    Rehearse(RehearseArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use xtask::commands::rehearse::{Chosen, RehearseCommand};

    use super::*;

    fn rehearse(words: &[&str]) -> Result<RehearseArgs, clap::Error> {
        let cli = Cli::try_parse_from(["cargo xtask", "rehearse"].iter().chain(words))?;
        let Command::Rehearse(args) = cli.command;
        Ok(args)
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_is_as_it_was() {
        let help = [&["--help"][..], &["clean", "--help"]].map(|args| {
            let command = Cli::command().term_width(100);
            let words = ["cargo xtask", "rehearse"].iter().chain(args);
            command.try_get_matches_from(words).unwrap_err().to_string()
        });
        insta::assert_snapshot!("help", help.join("\n────\n"));
    }

    #[test]
    fn breaks_are_rehearsed_in_one_order_and_once() {
        let breaks = |words: &[&str]| rehearse(words).unwrap().story.breaks();
        assert_eq!(breaks(&[]), [Chosen::Health, Chosen::Crash, Chosen::Killed]);
        let named = ["production", "--break", "state", "--break", "crash", "--break", "state"];
        assert_eq!(breaks(&named), [Chosen::Crash, Chosen::State]);
        assert_eq!(breaks(&["--break", "all", "--break", "dns"]).len(), 8);
    }

    #[test]
    fn cleaning_is_a_command_of_its_own() {
        let args = rehearse(&["clean", "production", "--json"]).unwrap();
        assert!(matches!(args.command, Some(RehearseCommand::Clean(_))));
        assert!(rehearse(&["production", "clean"]).is_err());
    }
}
