//! The two commands and their flags. People type them through the toolkit, so that is what the help shows.

use clap::{Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::test::{InstallArgs, TestArgs};

/// Tests and measures everything in this repository.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub struct Cli {
    /// Say everything as events, one JSON object a line, on standard output
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    Test(TestArgs),
    Bench(BenchArgs),

    /// What `test` starts for itself
    #[command(hide = true)]
    Install(InstallArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use xtask::commands::checks::{BENCH_EXAMPLES, TEST_EXAMPLES};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_both_commands_is_as_it_was() {
        let help = ["test", "bench"].map(|name| {
            let command = Cli::command().term_width(100);
            let error = command.try_get_matches_from(["cargo xtask", name, "--help"]).unwrap_err();
            format!("──── {name} ────\n{error}")
        });
        insta::assert_snapshot!("help", help.join("\n"));
    }

    /// Every `test` and `bench` that the documents and the help show can be typed as it stands. The toolkit passes every
    /// argument of these two commands on unchecked.
    #[test]
    fn every_command_that_is_shown_can_be_typed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let documents = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"];
        let documents = documents.map(|name| fs_err::read_to_string(root.join(name)).unwrap());
        let texts = documents.iter().map(String::as_str).chain([TEST_EXAMPLES, BENCH_EXAMPLES]);
        let shown = texts.flat_map(str::lines).filter_map(|line| line.split_once("cargo xtask ")).map(|(_, rest)| rest);
        let shown = shown.filter(|rest| rest.starts_with("test") || rest.starts_with("bench"));
        let mut seen = 0;
        for text in shown {
            // A comment begins behind two blanks or `#`, and code ends with its sign.
            let command = text.split("  ").next().unwrap().split(['#', '`', ':']).next().unwrap();
            if let Err(error) = Cli::try_parse_from(std::iter::once("cargo xtask").chain(command.split_whitespace())) {
                panic!("cargo xtask {command}: {error}");
            }
            seen += 1;
        }
        assert!(seen > 8, "only {seen} commands were found");
    }
}
