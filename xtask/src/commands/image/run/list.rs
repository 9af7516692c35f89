//! `image list`

use serde_json::{Value, json};

use crate::commands::Context;
use crate::commands::image::ListArgs;
use crate::failure::Failure;
use crate::image::list::{StoredImage, list, printable};
use crate::image::signature::TAG_PREFIX;
use crate::image::size::human_bytes;
use crate::image::{ServiceImage, usage};
use crate::release::short_digest;

impl ListArgs {
    /// Runs the command: one line or event for each image.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let image = ServiceImage::find(&env)?;
        let images = list(&image).await?;
        if images.is_empty() {
            let (name, environment) = (image.name(), env.name());
            env.report.note(&format!("{name} has no images yet; type: cargo xtask image push {environment}"));
        }
        let usage = usage::read(&image).await.map_err(Failure::into_error);
        if let Err(error) = &usage {
            env.report.warn(&format!("which environments use an image is not known: {error:#}"));
        }
        for stored in &images {
            let uses = usage.as_ref().ok().map(|usage| usage.of(stored));
            let remark = uses.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
            env.report.result(detail(stored, uses.as_deref()), &line(stored, &remark));
        }
        Ok(())
    }
}

/// One image in one line, with a remark at its end.
pub fn line(image: &StoredImage, remark: &str) -> String {
    let metadata = image.metadata.clone().unwrap_or_default();
    let created =
        metadata.created.map_or_else(|| "-".to_owned(), |created| created.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    let (size, digest) = (human_bytes(image.size()), short_digest(&image.digest));
    let version = match &image.metadata {
        Some(metadata) => metadata.version.as_deref().unwrap_or("-"),
        None => "no image",
    };
    // Tags of 40 characters are commits.
    let short = |tag: &'_ String| if tag.len() == 40 { tag[..12].to_owned() } else { tag.clone() };
    let tags: Vec<String> = image.tags.iter().filter(|tag| !tag.starts_with(TAG_PREFIX)).map(short).collect();
    let line = format!("{created:<20}  {digest}  {size:>10}  {version:<12}  {}  {remark}", tags.join(" "));
    printable(line.trim_end())
}

/// The same for programs. `uses` is none where it is not known.
pub fn detail(image: &StoredImage, uses: Option<&[String]>) -> Value {
    let metadata = image.metadata.clone().unwrap_or_default();
    json!({
        "digest": image.digest,
        "tags": image.tags,
        "is_image": image.metadata.is_some(),
        "created": metadata.created,
        "version": metadata.version,
        "revision": metadata.revision,
        "bytes": image.size(),
        "uses": uses,
    })
}
