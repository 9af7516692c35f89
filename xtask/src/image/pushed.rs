//! The image of a commit, as the registry has it.

use anyhow::{Context as _, anyhow};

use super::inputs::Inputs;
use super::{ServiceImage, push, signature};
use crate::clients::registry::reference::is_digest;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::Source;

/// `name@sha256:…` of a source's image, as the registry has it. Refused if it was not pushed, or is not signed. With `given`
/// it is the image with that digest.
pub async fn pushed(env: &Env<'_>, source: &Source, given: Option<&str>) -> Result<String, Failure> {
    let image = ServiceImage::find(env)?;
    if let Some(digest) = given {
        return pushed_as(&image, digest).await;
    }
    let inputs = Inputs::of(&image, source).await?;
    let digest = digest_of(&image, &inputs).await?;
    Ok(format!("{}@{digest}", image.name()))
}

/// The digest of the image with these inputs, as the registry has it. Refused if it was not pushed, or is not signed. Where the
/// environment requires a proof of the image's build, the caller verifies that instead.
pub async fn digest_of(image: &ServiceImage<'_>, inputs: &Inputs) -> Result<String, Failure> {
    let env = image.env;
    let (name, tag) = (image.name(), inputs.tag());
    let digest = image.repository().await?.digest_of(&tag).await;
    let digest = digest.with_context(|| format!("look for the image {name}:{tag} in the registry"))?;
    let commit = &inputs.source.commit[..12];
    let digest = digest.ok_or_else(|| {
        let how = match &env.environment.verify {
            Some(verify) => format!(
                "{} builds it: git push, wait for the workflow, and type the same command again",
                verify.workflow
            ),
            None => format!("push it: cargo xtask image push {}", env.name()),
        };
        Failure::Refused(anyhow!("the registry has no image of {commit}, {name}:{tag}\n  {how}"))
    })?;
    // Where a proof of the image's build is required, the workflow need not have the key of signatures.
    if env.environment.verify.is_none() && !signature::is_signed(image, inputs.subject(), &digest).await? {
        let why = signature::why_unsigned(image.key().await?.as_ref());
        return Err(Failure::Refused(anyhow!(
            "the registry's image of {commit}, {name}@{digest}, is not used: {why}\n  \
             build it again: cargo xtask image push {0}; or, if that printed this digest elsewhere: \
             cargo xtask tofu plan {0} --image {digest}",
            env.name()
        )));
    }
    Ok(digest)
}

async fn pushed_as(image: &ServiceImage<'_>, digest: &str) -> Result<String, Failure> {
    if !is_digest(digest) {
        let text = format!("--image takes a digest (sha256: and 64 hexadecimal digits), and {digest:?} is none");
        return Err(Failure::Usage(anyhow!(text)));
    }
    let name = image.name();
    if push::is_published(image, digest).await? {
        return Ok(format!("{name}@{digest}"));
    }
    let push = format!("push it: cargo xtask image push {}", image.env.name());
    Err(Failure::Refused(anyhow!("the registry has no {name}@{digest}\n  {push}")))
}
