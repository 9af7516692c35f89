//! `image`: builds, pushes, lists and prunes the service's image.

mod build;
mod inspect;
mod list;
mod pin;
mod prune;

use clap::Subcommand;

pub use self::build::{BuildArgs, PushArgs};
pub use self::inspect::InspectArgs;
pub use self::list::ListArgs;
pub use self::pin::PinArgs;
pub use self::prune::PruneArgs;
use super::Context;
use crate::failure::Failure;

/// `image …`
#[derive(Subcommand, Debug)]
pub enum Image {
    Build(BuildArgs),
    Push(PushArgs),
    List(ListArgs),
    Inspect(InspectArgs),
    Prune(PruneArgs),
    Pin(PinArgs),
}

impl Image {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Build(args) => args.run(context).await,
            Self::Push(args) => args.run(context).await,
            Self::List(args) => args.run(context).await,
            Self::Inspect(args) => args.run(context).await,
            Self::Prune(args) => args.run(context).await,
            Self::Pin(args) => args.run(context).await,
        }
    }
}
