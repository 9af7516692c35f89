//! Whether this machine can build the image, and the registry takes it.

use std::fmt::Display;

use super::{Images, mend};
use crate::check::Check;
use crate::clients::buildkit::Builder;
use crate::config::Target;
use crate::tools::platform;

/// An image, its layers and a build's own files take this much at least.
const NEEDED: u64 = 5 << 30;

/// Every check of builder and registry, none of which changes anything. What a local deploy does not need is never bad.
pub async fn checks(images: &Images<'_>) -> Vec<Check> {
    let (mut checks, registry) = tokio::join!(builder(images), registry(images));
    checks.extend(registry);
    checks
}

async fn builder(images: &Images<'_>) -> Vec<Check> {
    let unusable = |error: &dyn Display, mend: &str| match images.environment.target {
        Target::Local(_) => Check::doubtful("builder", format!("{error}; only images need one: {mend}")),
        Target::Scaleway(_) => Check::bad("builder", error.to_string(), mend),
    };
    let builder = match images.builder().await {
        Ok(builder) => builder,
        Err(error) => return vec![unusable(&error, mend(&error))],
    };
    let mut checks = match builder.capabilities().await {
        Ok(can) => {
            let cache = if can.registry_cache { "in the registry" } else { "inside the image" };
            vec![Check::good("builder", format!("{}, keeps its layer cache {cache}", can.name))]
        }
        Err(error) => vec![unusable(&format!("{error:#}"), "see what it says: docker info")],
    };
    checks.extend(disk(&builder).await);
    checks
}

/// Room for images, where the engine's folder is on this machine.
async fn disk(builder: &Builder) -> Option<Check> {
    let Builder::Engine(engine) = builder else { return None };
    let folder = engine.info().await.ok()?.docker_root_dir?;
    let free = platform::free_bytes(folder.as_str().into()).ok()?;
    let found = format!("{} GB free for images in {folder}", free / 1_000_000_000);
    Some(match free < NEEDED {
        true => Check::bad("images", found, "docker builder prune; see what takes the space: docker system df"),
        false => Check::good("images", found),
    })
}

async fn registry(images: &Images<'_>) -> Option<Check> {
    let registry = images.environment.registry()?;
    let mend = "look at REGISTRY_USERNAME and REGISTRY_PASSWORD, or: docker login";
    let repository = match images.repository().await {
        Ok(repository) => repository,
        Err(failure) => return Some(Check::bad("registry", format!("{:#}", failure.into_error()), mend)),
    };
    Some(match repository.check().await {
        Ok(()) => Check::good("registry", format!("{registry} lets us in")),
        Err(error) => Check::bad("registry", error.to_string(), mend),
    })
}
