//! What `image` runs.

mod build;
mod inspect;
mod list;
mod pin;
mod prune;

use super::Image;
use crate::commands::Context;
use crate::failure::Failure;

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
