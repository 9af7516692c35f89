//! `image list`: what the registry holds of this service, the newest first.

use anyhow::Result;
use serde_json::{Value, json};

use super::Images;
use super::limits::human_bytes;
use super::survey::{Held, Needed, needed, survey};
use crate::failure::Failure;
use crate::release::short_digest;

/// Lists every image, one line and one event each.
pub async fn list(images: &Images<'_>) -> Result<(), Failure> {
    let repository = images.repository().await?;
    let (all, needed) = (survey(repository).await?, needed(images).await?);
    if all.is_empty() {
        let environment = &images.environment.name;
        images.report.note(&format!("{} holds nothing yet; type: cargo xtask image push {environment}", images.name()));
    }
    for held in &all {
        let uses = uses(held, &needed);
        let detail = detail(held, &json!(uses));
        images.report.result(detail, &line(held, &uses.join(", ")));
    }
    Ok(())
}

/// What environments need it for. They may have been told the index's digest or an image's in it.
pub fn uses(held: &Held, needed: &Needed) -> Vec<String> {
    let digests = std::iter::once(&held.digest).chain(&held.children);
    digests.filter_map(|digest| needed.by_digest.get(digest)).flatten().cloned().collect()
}

/// One image as a line for people, with something said of it at its end.
pub fn line(held: &Held, said: &str) -> String {
    let about = held.about.clone().unwrap_or_default();
    let created =
        about.created.map_or_else(|| "-".to_owned(), |created| created.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    let (size, digest) = (human_bytes(held.size()), short_digest(&held.digest));
    let version = if held.about.is_some() { about.version.as_deref().unwrap_or("-") } else { "no image" };
    let tags: Vec<&str> = held.tags.iter().map(|tag| if tag.len() == 40 { &tag[..12] } else { tag.as_str() }).collect();
    let line = format!("{created:<20}  {digest}  {size:>10}  {version:<12}  {}  {said}", tags.join(" "));
    printable(line.trim_end())
}

/// What an image says of itself, on one line and without what a terminal would obey.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// One image for programs.
pub fn detail(held: &Held, said: &Value) -> Value {
    let about = held.about.clone().unwrap_or_default();
    json!({
        "digest": held.digest,
        "tags": held.tags,
        "is_image": held.about.is_some(),
        "created": about.created,
        "version": about.version,
        "revision": about.revision,
        "bytes": held.size(),
        "uses": said,
    })
}
