//! The release against the tree that is checked out: a deploy is of the tree, and finds its image by what the tree is built from.

use super::candidate::Candidate;
use crate::check::Check;
use crate::env::Env;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::image::inputs::Inputs;
use crate::image::pushed::digest_of;
use crate::release::{short_commit, short_digest};
use crate::tools::git::{self, Filters};

/// Compares the image that a deploy of the tree runs with the one of the release. Where the tree is not the release's commit, there is
/// nothing to compare: that is bad if the release's commit `has_to_be` checked out.
pub async fn compare(env: &Env<'_>, candidate: &Candidate, has_to_be: bool) -> Result<Check, Failure> {
    let (tag, manifest) = (&candidate.release.tag_name, &candidate.manifest);
    let source = git::source(env.root(), Filters::Run).await?;
    let is_other = source.commit != manifest.commit;
    if is_other || !source.is_clean() {
        let (found, fix) = match is_other {
            true => (
                format!("{} is checked out, and not {tag}", short_commit(&source.commit)),
                format!("git fetch --tags && git checkout {tag}"),
            ),
            false => ("the tree has uncommitted changes".to_owned(), "git stash --include-untracked".to_owned()),
        };
        return Ok(match has_to_be {
            true => Check::bad("tree", found, fix),
            false => Check::doubtful("tree", format!("{found}, so what a deploy of it runs is not compared")),
        });
    }
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, &source).await?;
    let runs = match digest_of(&image, &inputs).await {
        Ok(digest) => digest,
        Err(refused @ Failure::Refused(_)) => return Ok(Check::failed("tree", refused)),
        Err(other) => return Err(other),
    };
    let released = &manifest.image.digest;
    Ok(match runs == *released {
        true => Check::good("tree", format!("a deploy of it runs {}", short_digest(released))),
        false => Check::bad(
            "tree",
            format!("a deploy of it runs {runs}, and release.json names {released}"),
            format!(
                "to release what the registry has for this commit now, delete the release and its tag at {}, and type: \
                 cargo xtask release create {}",
                candidate.release.html_url,
                env.name()
            ),
        ),
    })
}
