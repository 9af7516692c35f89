//! Building the image, unless the registry or the Docker engine has one with the same inputs that is signed.

use anyhow::{Context as _, Result};

use super::ServiceImage;
use super::builder::{self, Build};
use super::inputs::Inputs;
use super::limits::Limits;
use super::progress::Counts;
use super::provenance;
use super::signature;
use super::size::{human_bytes, table, totals};
use crate::clients::buildkit::{Builder, Output};
use crate::clients::docker::{Engine, Layer};
use crate::failure::Failure;
use crate::release::short_digest;
use crate::report::{Ongoing, Summary};

/// An image that exists.
pub struct Image {
    /// With its tag: `rg.fr-par.scw.cloud/meemi/app:inputs-<24 digits>`.
    pub name: String,
    /// Where it is.
    pub location: Location,
    summary: String,
    reused: bool,
}

/// Where an image is.
pub enum Location {
    /// In the environment's registry.
    Registry {
        /// Of its manifest.
        digest: String,
    },
    /// In a Docker engine.
    Engine {
        /// Which.
        engine: Engine,
        /// `sha256:…`
        id: String,
    },
    /// In the cache of a buildkitd, which can push it.
    Buildkitd {
        /// Which.
        builder: Builder,
        /// The digest that it will have in a registry.
        digest: String,
    },
}

/// An image that was looked for.
enum Found {
    /// It is there, and signed as built from these inputs.
    Signed(Box<Image>),
    /// There is one, and why it is not used.
    Unsigned(String),
    Nothing,
}

/// The image with these inputs; builds it if neither the registry nor the Docker engine has it, with a signature, or with
/// `no_cache`.
pub async fn find_or_build(
    image: &ServiceImage<'_>,
    inputs: &Inputs,
    no_cache: bool,
    step: &Ongoing,
) -> Result<Image, Failure> {
    let mut not_used = Vec::new();
    if !no_cache {
        match find_in_registry(image, inputs).await? {
            Found::Signed(found) => return Ok(*found),
            Found::Unsigned(why) => not_used.push(why),
            Found::Nothing => {}
        }
    }
    let builder = builder::require().await?;
    if !no_cache {
        match find_in_engine(image, inputs, &builder).await? {
            Found::Signed(found) => return Ok(*found),
            Found::Unsigned(why) => not_used.push(why),
            Found::Nothing => {}
        }
    }
    let build = Build { image, inputs, builder: &builder, no_cache };
    let mut built = build_within_limits(&build, step).await?;
    for why in not_used {
        built.summary.push_str(&format!("\nbuilt again: {why}"));
    }
    Ok(built)
}

/// The image with these inputs, if the registry or the Docker engine has it, with a signature.
pub async fn find(image: &ServiceImage<'_>, inputs: &Inputs) -> Result<Option<Image>, Failure> {
    if let Found::Signed(found) = find_in_registry(image, inputs).await? {
        return Ok(Some(*found));
    }
    match find_in_engine(image, inputs, &builder::require().await?).await? {
        Found::Signed(found) => Ok(Some(*found)),
        Found::Unsigned(_) | Found::Nothing => Ok(None),
    }
}

impl Location {
    /// `registry`, `engine` or `buildkitd`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Registry { .. } => "registry",
            Self::Engine { .. } => "engine",
            Self::Buildkitd { .. } => "buildkitd",
        }
    }

    /// The image's digest; in an engine its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Registry { digest } | Self::Buildkitd { digest, .. } => digest,
            Self::Engine { id, .. } => id,
        }
    }
}

impl Summary for Image {
    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn is_reused(&self) -> bool {
        self.reused
    }
}

/// The image's name with the tag of its inputs.
fn tagged_name(image: &ServiceImage<'_>, inputs: &Inputs) -> String {
    format!("{}:{}", image.name(), inputs.tag())
}

async fn find_in_registry(image: &ServiceImage<'_>, inputs: &Inputs) -> Result<Found, Failure> {
    if image.env.environment.registry().is_none() {
        return Ok(Found::Nothing);
    }
    let name = tagged_name(image, inputs);
    let digest = image.repository().await?.digest_of(&inputs.tag()).await;
    let Some(digest) = digest.with_context(|| format!("look for {name} in the registry"))? else {
        return Ok(Found::Nothing);
    };
    if let Some(why) = why_not_used(image, inputs, &digest).await? {
        return Ok(Found::Unsigned(why));
    }
    let summary = format!("{} is in the registry", short_digest(&digest));
    let location = Location::Registry { digest };
    Ok(Found::Signed(Box::new(Image { name, location, summary, reused: true })))
}

/// Why an image of the registry is not used; none of one that is signed or, where a proof of its build is required, has that.
async fn why_not_used(image: &ServiceImage<'_>, inputs: &Inputs, digest: &str) -> Result<Option<String>, Failure> {
    if image.env.environment.verify.is_some() {
        // What this machine builds may be attested next, as built by its workflow. So it must not be what another machine built.
        return match provenance::verify(image, &inputs.source, digest).await {
            Ok(_) => Ok(None),
            Err(Failure::Refused(why)) => Ok(why.to_string().lines().next().map(str::to_owned)),
            Err(other) => Err(other),
        };
    }
    match signature::is_signed(image, inputs.subject(), digest).await? {
        true => Ok(None),
        false => Ok(Some(unsigned(image, "registry", digest).await?)),
    }
}

async fn find_in_engine(image: &ServiceImage<'_>, inputs: &Inputs, builder: &Builder) -> Result<Found> {
    let Builder::Engine(engine) = builder else { return Ok(Found::Nothing) };
    let name = tagged_name(image, inputs);
    let Some(found) = engine.image(&name).await? else { return Ok(Found::Nothing) };
    if !signature::was_built_here(image, inputs.subject(), &found.id).await? {
        return Ok(Found::Unsigned(unsigned(image, "Docker engine", &found.id).await?));
    }
    let summary = format!("{} is in the Docker engine", short_digest(&found.id));
    let location = Location::Engine { engine: engine.clone(), id: found.id };
    Ok(Found::Signed(Box::new(Image { name, location, summary, reused: true })))
}

async fn unsigned(image: &ServiceImage<'_>, place: &str, digest: &str) -> Result<String> {
    let why = signature::why_unsigned(image.key().await?.as_ref());
    Ok(format!("{} of the {place} is not used: {why}", short_digest(digest)))
}

/// Builds the image and compares it with the target's limits. An image that is too large is removed from the engine, so that
/// a later push does not find it.
async fn build_within_limits(build: &Build<'_>, step: &Ongoing) -> Result<Image> {
    let env = build.image.env;
    let name = tagged_name(build.image, build.inputs);
    let (built, counts) = build.run(Output::Keep(&name), step).await?;
    let limits = Limits::of(&env.environment.target);
    let mut layers = built.layers;
    if let (Builder::Engine(engine), Some(limits)) = (build.builder, limits)
        && limits.need_compressed(&layers)
    {
        step.progress("measuring the compressed layers");
        layers = engine.compressed_layers(&name).await?;
    }
    if let Some(limits) = limits
        && let Err(too_large) = limits.check(&layers, env.name())
    {
        if let Builder::Engine(engine) = build.builder {
            engine.remove(&name).await?;
        }
        return Err(too_large);
    }
    if let Builder::Engine(_) = build.builder {
        signature::built_here(build.image, build.inputs.subject(), &built.digest).await?;
    }
    let summary = describe(&built.digest, counts, &layers);
    let location = match build.builder {
        Builder::Engine(engine) => Location::Engine { engine: engine.clone(), id: built.digest },
        Builder::Daemon(_) => Location::Buildkitd { builder: build.builder.clone(), digest: built.digest },
    };
    Ok(Image { name, location, summary, reused: false })
}

fn describe(digest: &str, counts: Counts, layers: &[Layer]) -> String {
    let (compressed, unpacked) = totals(layers);
    let compressed = compressed.map_or_else(String::new, |size| format!(", {} compressed", human_bytes(size)));
    let (unpacked, cached, steps) = (human_bytes(unpacked), counts.cached, counts.cached + counts.ran);
    let digest = short_digest(digest);
    format!("{digest}, {cached} of {steps} steps cached\n{unpacked} unpacked{compressed}\n{}", table(layers))
}
