//! Uploads and downloads that pass the service by.

use std::time::Duration;

use super::registry::{Kind, Registry};

/// The longest that Signature Version 4 allows, in seconds.
const MAX_SECONDS: u64 = 7 * 24 * 60 * 60;

#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the help of each setting is in `declare`")]
pub struct PresignedSettings {
    pub upload_url: Duration,
    pub download_url: Duration,
    pub max_pending: i64,
    pub look_after: Duration,
}

impl PresignedSettings {
    pub(super) fn declare(registry: &mut Registry) -> Option<Self> {
        let upload_url = registry
            .setting(
                "UPLOAD_URL_SECONDS",
                Kind::Integer,
                "How long the URL of a presigned upload is valid, in seconds: 1 to 604800",
            )
            .or("300", |text| seconds(text, 1));
        let download_url = registry
            .setting(
                "DOWNLOAD_URL_SECONDS",
                Kind::Integer,
                "How long a signed URL to download a file is valid, in seconds: 2 to 604800; it may have been in use for up to half of that",
            )
            .or("600", |text| seconds(text, 2));
        let max_pending = registry
            .setting("MAX_PENDING_UPLOADS", Kind::Integer, "Presigned uploads of one account that may be pending")
            .or("100", |text| text.parse().ok().filter(|number| *number > 0).ok_or("a number, at least 1"));
        let look_after = registry
            .setting(
                "PENDING_LOOK_SECONDS",
                Kind::Integer,
                "How often a worker looks in the store for the files of presigned uploads that it was not told of, in seconds: 1 to 604800",
            )
            .or("60", |text| seconds(text, 1));
        Some(Self {
            upload_url: upload_url?,
            download_url: download_url?,
            max_pending: max_pending?,
            look_after: look_after?,
        })
    }
}

fn seconds(text: &str, least: u64) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (least..=MAX_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or("a number of seconds, at most 604800")
}
