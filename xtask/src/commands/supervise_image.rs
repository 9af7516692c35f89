//! `supervise-image`: the process that stands for a container of this machine's Docker engine.

#[cfg(feature = "cloud")]
mod run;

use clap::Args;

/// Arguments of the hidden command that runs an image. None is secret.
#[derive(Debug, Args)]
pub struct SuperviseImage {
    /// The engine's address.
    #[arg(long)]
    pub engine: String,
    /// The environment's folder, which tells its containers from others.
    #[arg(long)]
    pub folder: String,
    /// The record's id; empty for a program beside the service.
    #[arg(long)]
    pub id: String,
    /// The image's id.
    #[arg(long)]
    pub image: String,
    /// What the container's name begins with.
    #[arg(long)]
    pub prefix: String,
    /// The variable with the port of this machine that the container's is published at; unset for a program beside the service.
    #[arg(long)]
    pub port_variable: String,
    /// The variables of this process that the container gets.
    #[arg(long)]
    pub pass: Vec<String>,
    /// A volume, and where it is in the container: `NAME:PATH`.
    #[arg(long)]
    pub volume: Vec<String>,
    /// The arguments in the place of the image's own; none keeps those.
    #[arg(last = true)]
    pub args: Vec<String>,
}
