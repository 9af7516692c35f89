//! Releases at GitHub: a pre-release per commit of the main branch, which names the image of that commit. Promoting it makes it a
//! release, which starts the deploy workflow.

pub mod candidate;
pub mod create;
pub mod follow;
pub mod manifest;
mod notes;
pub mod prune;
pub mod tree;

/// The workflow that deploys a release.
const WORKFLOW: &str = ".github/workflows/deploy.yml";
