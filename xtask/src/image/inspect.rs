//! `image inspect`: what one image in the registry is made of.

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use super::Images;
use super::limits::human_bytes;
use super::list::printable;
use crate::clients::registry::Repository;
use crate::clients::registry::manifest::{Content, ImageConfig, Manifest, Parts};
use crate::clients::registry::reference::{Reference, is_digest};
use crate::failure::Failure;
use crate::tools::git;

/// Characters of an instruction that a line shows.
const INSTRUCTION: usize = 90;

/// Shows the image that a tag, a digest or a whole name says; that of the checked-out commit if nothing is said.
pub async fn inspect(images: &Images<'_>, wanted: Option<&str>) -> Result<(), Failure> {
    let repository = images.repository().await?;
    let name: Reference = images.name().parse().context("read the image's name")?;
    let wanted = match wanted {
        Some(wanted) => within(&name, wanted)?,
        None => git::source(&images.config.root).await?.commit,
    };
    let environment = &images.environment.name;
    let hint = || format!("read {wanted}; what there is: cargo xtask image list {environment}");
    let manifest = repository.manifest(&wanted).await.with_context(hint)?;
    let image = of_platform(repository, &manifest, &images.image.platform).await?;
    let Content::Image(parts) = &image.content else {
        return Err(anyhow!("{wanted} is an index of indices, which no builder makes").into());
    };
    if !parts.is_image() {
        return Err(anyhow!("{wanted} is no image: its configuration is {:?}", parts.config.media_type).into());
    }
    let config = repository.config(parts).await.context("read the image's configuration")?;
    let layers = layers(parts, &config);
    let text = describe(&format!("{}@{}", name.name(), manifest.digest), parts, &config, &layers);
    images.report.result(detail(&manifest, parts, &config, &layers), &text);
    Ok(())
}

/// A tag or digest of the repository; a whole name has to be of this one.
fn within(name: &Reference, wanted: &str) -> Result<String, Failure> {
    if is_digest(wanted) {
        return Ok(wanted.to_owned());
    }
    let whole = if wanted.contains(['/', ':', '@']) { wanted.parse() } else { name.with(wanted) };
    let whole: Reference = whole.map_err(|error| Failure::Usage(error.into()))?;
    if whole.name() != name.name() {
        let why = format!("{wanted} is not in {}, whose images this shows; name a tag or a digest of it", name.name());
        return Err(Failure::Usage(anyhow!(why)));
    }
    Ok(whole.wanted().to_owned())
}

async fn of_platform(repository: &Repository, manifest: &Manifest, platform: &str) -> Result<Manifest> {
    if let Content::Image(_) = manifest.content {
        return Ok(manifest.clone());
    }
    let found =
        manifest.for_platform(platform).with_context(|| format!("{} has no image for {platform}", manifest.digest))?;
    Ok(repository.manifest(&found.digest).await?)
}

/// Bytes and instruction of each layer, the lowest first.
fn layers(parts: &Parts, config: &ImageConfig) -> Vec<(u64, String)> {
    let mut made = config.history.iter().filter(|instruction| !instruction.empty_layer);
    let instruction = |layer: u64| (layer, made.next().map(|made| words(&made.created_by)).unwrap_or_default());
    parts.layers.iter().map(|layer| layer.size).map(instruction).collect()
}

/// An instruction as it stood in the Dockerfile, on one line.
fn words(created_by: &str) -> String {
    let text = created_by.trim_end_matches("# buildkit").trim_start_matches("/bin/sh -c #(nop)");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn describe(name: &str, parts: &Parts, config: &ImageConfig, layers: &[(u64, String)]) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {label:<10}  {}\n", printable(value)));
        }
    };
    let runs = &config.config;
    let user = if runs.user.is_empty() { "root" } else { &runs.user };
    let command = runs.entrypoint.iter().chain(&runs.cmd).flatten().cloned().collect::<Vec<_>>();
    row("image", name);
    row("platform", &config.platform());
    row("created", &config.created.map(|created| created.to_string()).unwrap_or_default());
    row("size", &format!("{} compressed", human_bytes(parts.size())));
    row("user", user);
    row("runs", &command.join(" "));
    row("folder", &runs.working_dir);
    row("ports", &runs.exposed_ports.iter().flat_map(|ports| ports.keys().cloned()).collect::<Vec<_>>().join(", "));
    row("health", &runs.healthcheck.as_ref().map(|check| check.test.join(" ")).unwrap_or_default());
    for (index, value) in runs.env.iter().flatten().enumerate() {
        row(if index == 0 { "env" } else { "" }, value);
    }
    for (index, (name, value)) in runs.labels.iter().flatten().enumerate() {
        row(if index == 0 { "labels" } else { "" }, &format!("{name}={value}"));
    }
    for (index, (bytes, instruction)) in layers.iter().enumerate() {
        let shown: String = instruction.chars().take(INSTRUCTION).collect();
        let cut = if shown.len() < instruction.len() { " …" } else { "" };
        row(if index == 0 { "layers" } else { "" }, &format!("{:>10}  {shown}{cut}", human_bytes(*bytes)));
    }
    text.trim_end().to_owned()
}

fn detail(manifest: &Manifest, parts: &Parts, config: &ImageConfig, layers: &[(u64, String)]) -> Value {
    let runs = &config.config;
    let layers: Vec<Value> =
        layers.iter().map(|(bytes, instruction)| json!({ "bytes": bytes, "instruction": instruction })).collect();
    json!({
        "digest": manifest.digest,
        "platform": config.platform(),
        "created": config.created,
        "bytes": parts.size(),
        "user": runs.user,
        "entrypoint": runs.entrypoint,
        "cmd": runs.cmd,
        "working_dir": runs.working_dir,
        "ports": runs.exposed_ports.as_ref().map(|ports| ports.keys().collect::<Vec<_>>()),
        "healthcheck": runs.healthcheck,
        "env": runs.env,
        "labels": runs.labels,
        "layers": layers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_has_to_be_of_this_repository() {
        let name: Reference = "localhost:5000/group/app".parse().unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let by_digest = format!("localhost:5000/group/app@{digest}");
        let by_both = format!("localhost:5000/group/app:x@{digest}");
        let cases = [
            ("latest", "latest"),
            (digest.as_str(), digest.as_str()),
            ("localhost:5000/group/app:x", "x"),
            ("localhost:5000/group/app", "latest"),
            (&by_digest, &digest),
            (&by_both, &digest),
        ];
        for (wanted, expected) in cases {
            assert_eq!(within(&name, wanted).unwrap(), expected);
        }
        for wrong in ["rust:1", "localhost:5000/group/other:x", "a b", "", "sha256:12", "../x"] {
            let error = within(&name, wrong).expect_err(wrong);
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn layers_have_the_instructions_that_made_them() {
        let parts = r#"{"config":{"digest":"c","size":1},"layers":[{"digest":"a","size":10},{"digest":"b","size":20},{"digest":"x","size":5}]}"#;
        let parts: Parts = serde_json::from_str(parts).unwrap();
        let config = r#"{"history":[{"created_by":"/bin/sh -c #(nop)  ADD file in /"},{"created_by":"ENV A=b","empty_layer":true},
                        {"created_by":"RUN /bin/sh -c a \\\n  && b # buildkit"}]}"#;
        let config: ImageConfig = serde_json::from_str(config).unwrap();
        let expected =
            [(10, "ADD file in /".to_owned()), (20, "RUN /bin/sh -c a \\ && b".to_owned()), (5, String::new())];
        assert_eq!(layers(&parts, &config), expected);
    }
}
