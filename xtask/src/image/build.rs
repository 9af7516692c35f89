//! `image build`: the image of the checked-out commit, unless it is there already.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use serde_json::json;

use super::inputs::Inputs;
use super::limits::{Limits, human_bytes, table, totals};
use super::progress::{Counts, Progress};
use super::{CACHE_TAG, Images, Said, mend};
use crate::clients::buildkit::{self, Builder, Cache, Output, Request};
use crate::clients::docker::{Engine, Layer};
use crate::config::{SettingsTable, SuppliedBy};
use crate::failure::Failure;
use crate::release::short_digest;
use crate::report::Summary as _;
use crate::report::{Ongoing, Step};
use crate::tools::git;

/// An image that is there.
pub struct Built {
    /// What it was made of.
    pub inputs: Inputs,
    /// Its name by its inputs.
    pub name: String,
    /// Where it is.
    pub at: At,
}

/// Where an image is.
pub enum At {
    /// In the registry, by its digest.
    Registry(String),
    /// In a Docker engine, by its id.
    Engine(Engine, String),
    /// In a buildkitd, which can push it, by the digest that it will have.
    Daemon(Builder, String),
}

/// Builds the image, unless the registry or the engine holds one of the same inputs, and says where it is.
pub async fn build(images: &Images<'_>, no_cache: bool) -> Result<(), Failure> {
    let built = find_or_build(images, no_cache).await?;
    let (place, id) = match &built.at {
        At::Registry(digest) => ("registry", digest),
        At::Engine(_, id) => ("engine", id),
        At::Daemon(_, digest) => ("buildkitd", digest),
    };
    let commit = &built.inputs.source.commit;
    let detail = json!({ "image": built.name, "in": place, "id": id, "commit": commit });
    images.report.result(detail, &built.name);
    Ok(())
}

/// The image of what is checked out. That it is there already takes one request to find out.
pub(super) async fn find_or_build(images: &Images<'_>, no_cache: bool) -> Result<Built, Failure> {
    let gather = async |_: &Ongoing| {
        let inputs = Inputs::gather(images).await?;
        let said = inputs.summary();
        Ok((inputs, Said::Done(said)))
    };
    let inputs = images.step(Step::Source, gather).await?;
    let name = format!("{}:{}", images.name(), inputs.tag());
    let at = images.step(Step::Build, async |step| {
        if !no_cache && let Some(at) = in_registry(images, &inputs, &name).await? {
            return Ok(at);
        }
        let builder = images.builder().await.map_err(|error| {
            let mend = mend(&error);
            anyhow!(error).context(format!("reach a builder; to mend it: {mend}"))
        })?;
        if !no_cache && let Some(at) = in_engine(&builder, &name).await? {
            return Ok(at);
        }
        make(images, &inputs, &name, builder, no_cache, step).await
    });
    let at = at.await?;
    Ok(Built { inputs, name, at })
}

/// Has the builder build it.
pub(super) async fn solve(
    images: &Images<'_>,
    inputs: &Inputs,
    builder: &Builder,
    output: Output<'_>,
    no_cache: bool,
    step: &Ongoing,
) -> Result<(buildkit::Built, Counts)> {
    let cache = images.environment.registry().map(|_| format!("{}:{CACHE_TAG}", images.name()));
    // An engine writes its records into the image itself; a cache of its own in the registry comes with the push.
    let write = matches!(builder, Builder::Engine(_)) || matches!(output, Output::Push(_));
    let mut args = inputs.args.clone();
    let settings = SettingsTable::load(&images.config.root, &images.config.service.settings)?;
    // A Dockerfile that does not ask for it gets an image that does not say its version by itself.
    if let Some(version) = settings.settings.iter().find(|setting| setting.supplied_by == Some(SuppliedBy::Version)) {
        args.insert(version.name.clone(), inputs.source.commit[..12].to_owned());
    }
    let (labels, auth) = tokio::try_join!(labels(images, inputs), images.auth())?;
    let secrets = images.build_secrets()?;
    let request = Request {
        context: Box::pin(inputs.context.archive()?),
        dockerfile: images.image.dockerfile.as_str(),
        args: &args,
        labels: &labels,
        secrets: &secrets,
        platform: &images.image.platform,
        cache: cache.as_deref().map(|reference| Cache { reference, write }),
        created: inputs.created,
        auth: &auth,
        no_cache,
    };
    let mut progress = Progress::new(step);
    let built = builder.build(request, output, |event| progress.take(event)).await?;
    Ok((built, progress.counts()))
}

async fn in_registry(images: &Images<'_>, inputs: &Inputs, name: &str) -> Result<Option<(At, Said)>> {
    if images.environment.registry().is_none() {
        return Ok(None);
    }
    let repository = images.repository().await.map_err(Failure::into_error)?;
    let digest = repository.digest_of(&inputs.tag()).await.with_context(|| format!("ask whether {name} is there"))?;
    Ok(digest.map(|digest| {
        let said = format!("{} is in the registry", short_digest(&digest));
        (At::Registry(digest), Said::Reused(said))
    }))
}

async fn in_engine(builder: &Builder, name: &str) -> Result<Option<(At, Said)>> {
    let Builder::Engine(engine) = builder else { return Ok(None) };
    Ok(engine.image(name).await?.map(|image| {
        let said = format!("{} is in the Docker engine", short_digest(&image.id));
        (At::Engine(engine.clone(), image.id), Said::Reused(said))
    }))
}

/// Builds it and sees that it is not too large. One that is does not stay in an engine, or a later push would find it.
async fn make(
    images: &Images<'_>,
    inputs: &Inputs,
    name: &str,
    builder: Builder,
    no_cache: bool,
    step: &Ongoing,
) -> Result<(At, Said)> {
    let (built, counts) = solve(images, inputs, &builder, Output::Keep(name), no_cache, step).await?;
    let limits = Limits::of(&images.environment.target);
    let mut layers = built.layers;
    if let (Builder::Engine(engine), Some(limits)) = (&builder, limits)
        && limits.need_compressed(&layers)
    {
        step.progress("counting what a registry will keep");
        layers = engine.compressed_layers(name).await?;
    }
    if let Some(limits) = limits
        && let Err(too_large) = limits.check(&layers, &images.environment.name)
    {
        if let Builder::Engine(engine) = &builder {
            engine.remove(name).await?;
        }
        return Err(too_large);
    }
    let at = match builder {
        Builder::Engine(engine) => At::Engine(engine, built.digest.clone()),
        Builder::Daemon(_) => At::Daemon(builder, built.digest.clone()),
    };
    Ok((at, Said::Done(summary(&built.digest, counts, &layers))))
}

fn summary(digest: &str, counts: Counts, layers: &[Layer]) -> String {
    let (compressed, unpacked) = totals(layers);
    let compressed = compressed.map_or_else(String::new, |size| format!(", {} compressed", human_bytes(size)));
    let (size, cached, steps) = (human_bytes(unpacked), counts.cached, counts.cached + counts.ran);
    let digest = short_digest(digest);
    format!("{digest}, {cached} of {steps} steps cached\n{size} unpacked{compressed}\n{}", table(layers))
}

/// What the image says of itself (OCI image specification 1.1, "Annotations").
async fn labels(images: &Images<'_>, inputs: &Inputs) -> Result<BTreeMap<String, String>> {
    let commit = &inputs.source.commit;
    let labels = [
        ("source", git::origin(&images.config.root).await?),
        ("revision", Some(commit.clone())),
        ("created", Some(inputs.created.to_string())),
        ("version", Some(commit[..12].to_owned())),
    ];
    let known = labels.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(known.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value)).collect())
}
