//! The names of the steps.

/// The steps of the commands, in the order of a deploy. Output, events, the journal and records use the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Every check that is possible before anything changes.
    Preflight,
    /// Determine what is deployed: a commit, or a commit and the hash of uncommitted changes.
    Source,
    /// Check the service's queries, and run new migrations on the released schema.
    Sqlx,
    /// On a stack of the media: determine what would change, and what it gives the service.
    Media,
    /// Apply the plan of the media.
    #[serde(rename = "media-apply")]
    MediaApply,
    /// Prepare what the service needs at runtime: database, settings, secrets.
    #[serde(alias = "ground")]
    Provision,
    /// Initialize OpenTofu's working folder: backend and providers.
    Init,
    /// Compile the service and its web UI.
    Build,
    /// Copy or push the artifact to where the target takes it from. From here on it has a digest.
    Publish,
    /// Verify that the workflow that deploy.yaml allows has built the image, from this commit.
    Provenance,
    /// Try whether the release that serves starts on the schema that the new one leaves.
    #[serde(rename = "way-back")]
    WayBack,
    /// Determine what would change.
    Plan,
    /// Start the new release beside the one that serves.
    Apply,
    /// Wait until the release reports that it is ready, in the expected version.
    Gate,
    /// On a stack: wait until the release answers at the public address: DNS, certificate, version.
    Address,
    /// Let the new release take over and the old one drain.
    Switch,
    /// Bring the release from the first Docker host to the others.
    Hosts,
    /// Watch the release that has taken over.
    Watch,
    /// Let the previous release serve again.
    Restore,
    /// Write the record, and remove old releases.
    Record,
    /// Run a program once beside the service.
    Run,
    /// Make or promote a release at GitHub.
    Release,
    /// Follow the workflow that deploys a release.
    Follow,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Preflight => "preflight",
            Self::Source => "source",
            Self::Sqlx => "sqlx",
            Self::Build => "build",
            Self::Publish => "publish",
            Self::Provenance => "provenance",
            Self::WayBack => "way-back",
            Self::Init => "init",
            Self::Media => "media",
            Self::MediaApply => "media-apply",
            Self::Provision => "provision",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Gate => "gate",
            Self::Address => "address",
            Self::Switch => "switch",
            Self::Hosts => "hosts",
            Self::Watch => "watch",
            Self::Restore => "restore",
            Self::Record => "record",
            Self::Run => "run",
            Self::Release => "release",
            Self::Follow => "follow",
        })
    }
}
