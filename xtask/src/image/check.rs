//! Whether this machine can build the image, and the registry accepts its credentials.

use super::{ServiceImage, builder};
use crate::check::Check;
use crate::clients::buildkit::Builder;
use crate::tools::platform;

/// The least free space: an image, its layers and the temporary files of a build.
const MIN_FREE_BYTES: u64 = 5 << 30;

/// Every check of builder and registry. None changes anything.
pub async fn checks(image: &ServiceImage<'_>) -> Vec<Check> {
    let (mut checks, registry) = tokio::join!(check_builder(), check_registry(image));
    checks.extend(registry);
    checks
}

async fn check_builder() -> Vec<Check> {
    let builder = match builder::connect().await {
        Ok(builder) => builder,
        Err(error) => return vec![Check::bad("builder", error.to_string(), builder::remedy(&error))],
    };
    let mut checks = match builder.capabilities().await {
        Ok(capabilities) => {
            let cache = if capabilities.registry_cache { "the registry" } else { "the image itself" };
            vec![Check::good("builder", format!("{}, layer cache in {cache}", capabilities.name))]
        }
        Err(error) => vec![Check::bad("builder", format!("{error:#}"), "see the engine's state: docker info")],
    };
    checks.extend(check_disk(&builder).await);
    checks
}

/// Free space, where the engine's folder is on this machine.
async fn check_disk(builder: &Builder) -> Option<Check> {
    let Builder::Engine(engine) = builder else { return None };
    let folder = engine.info().await.ok()?.docker_root_dir?;
    let free = platform::free_bytes(folder.as_str().into()).ok()?;
    let found = format!("{} GB free for images in {folder}", free / 1_000_000_000);
    Some(match free < MIN_FREE_BYTES {
        true => Check::bad("images", found, "docker builder prune; to see what takes the space: docker system df"),
        false => Check::good("images", found),
    })
}

async fn check_registry(image: &ServiceImage<'_>) -> Option<Check> {
    let registry = image.env.environment.registry()?;
    let remedy = "check REGISTRY_HOST, REGISTRY_USERNAME and REGISTRY_PASSWORD, or type: docker login";
    let repository = match image.repository().await {
        Ok(repository) => repository,
        Err(failure) => return Some(Check::bad("registry", format!("{:#}", failure.into_error()), remedy)),
    };
    Some(match repository.check().await {
        Ok(()) => Check::good("registry", format!("{registry} accepts the credentials")),
        Err(error) => Check::bad("registry", error.to_string(), remedy),
    })
}
