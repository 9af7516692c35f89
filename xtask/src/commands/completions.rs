//! `completions`

use clap::Args;
use clap_complete::Shell;

use crate::typed;

/// Print shell completions
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask completions bash > ~/.local/share/bash-completion/completions/xtask
  alias xtask='cargo xtask'     shells complete the name that is typed")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    /// The completions of a command line, without its hidden commands.
    pub fn text(&self, all: &clap::Command) -> String {
        let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
        let mut shown = clap::Command::new(typed::program()).args(all.get_arguments().cloned()).subcommands(shown);
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut shown, typed::program(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}
