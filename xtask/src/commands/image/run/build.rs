//! `image build` and `image push`

use serde_json::json;

use crate::commands::Context;
use crate::commands::image::{BuildArgs, PushArgs};
use crate::commands::outputs::output;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::image::build::{self, Image};
use crate::image::inputs::Inputs;
use crate::image::push;
use crate::report::Step;
use crate::tools::git;

impl BuildArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let image = ServiceImage::find(&env)?;
        let (inputs, built) = find_or_build(&image, self.no_cache).await?;
        let (location, id, commit) = (built.location.kind(), built.location.id(), &inputs.source.commit);
        let detail = json!({ "image": built.name, "in": location, "id": id, "commit": commit });
        env.report.result(detail, &built.name);
        Ok(())
    }
}

impl PushArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let image = ServiceImage::find(&env)?;
        // Nothing is built for an environment without a registry.
        image.repository().await?;
        let (inputs, built) = find_or_build(&image, false).await?;
        let publish = async |step: &_| push::publish(&image, &inputs, &built, step).await;
        let pushed = env.report.step(Step::Publish, publish).await?;
        let (reference, commit) = (pushed.reference(), &inputs.source.commit);
        let detail = json!({ "image": reference, "digest": pushed.digest, "tags": pushed.tags, "commit": commit });
        output("digest", &pushed.digest)?;
        env.report.result(detail, &reference);
        Ok(())
    }
}

/// The image of the checked-out commit.
async fn find_or_build(image: &ServiceImage<'_>, no_cache: bool) -> Result<(Inputs, Image), Failure> {
    let env = image.env;
    let source = async |_: &_| Ok(Inputs::of(image, &git::source(env.root(), git::Filters::Run).await?).await?);
    let inputs = env.report.step(Step::Source, source).await?;
    let build = async |step: &_| build::find_or_build(image, &inputs, no_cache, step).await;
    let built = env.report.step(Step::Build, build).await?;
    Ok((inputs, built))
}
