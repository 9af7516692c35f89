//! What clients put into a bucket at URLs that the service has signed, with each S3 server.

use std::time::Duration;

use devservers::http::{Answer, ask};
use time::OffsetDateTime;

use super::{
    super::{PartUrl, UploadUrl, part_size},
    Fixture, content,
};
use crate::media::MediaId;

const LIFE: Duration = Duration::from_secs(300);

impl Fixture {
    async fn buckets(test: &str) -> Vec<Self> {
        Self::each(test).await.into_iter().filter(|fixture| fixture.endpoint().is_some()).collect()
    }

    fn endpoint(&self) -> Option<String> {
        let own = self.server.as_ref().map(|server| server.endpoint());
        own.or_else(|| self.other.as_ref().map(|server| server.endpoint()))
    }

    /// Sends what the URL is for, to the server alone.
    fn put(&self, url: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Answer {
        let endpoint = self.endpoint().unwrap();
        let path = url.strip_prefix(&endpoint).unwrap_or_else(|| panic!("{url} is at {endpoint}"));
        ask(&endpoint, "PUT", path, headers, bytes).unwrap()
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().truncate_to_second()
}

#[tokio::test]
async fn each_store_takes_a_file_at_its_url_and_gives_exactly_the_one_that_was_looked_at() {
    let test = "each_store_takes_a_file_at_its_url_and_gives_exactly_the_one_that_was_looked_at";
    for fixture in Fixture::buckets(test).await {
        let (storage, name, id) = (&fixture.storage, fixture.name(), MediaId::generate());
        assert_eq!(storage.uploaded(id).await.unwrap(), None, "{name}");
        let to_sign = UploadUrl { id, content_type: "image/png", length: Some(3000), begins_at: now(), life: LIFE };
        let url = storage.upload_url(&to_sign).await.unwrap().unwrap();
        let png = [("content-type", "image/png")];
        assert_eq!(fixture.put(&url, &png, &content(3000)).status, 200, "{name}");
        let uploaded = storage.uploaded(id).await.unwrap().unwrap();
        assert_eq!(uploaded.size, 3000, "{name}");
        let head = storage.uploaded_head(id, &uploaded, 100).await.unwrap();
        assert!(head.unwrap() == content(3000)[..100], "{name}");
        let copy = storage.take_uploaded(id, &uploaded).await.unwrap().unwrap();
        assert!(fs_err::read(&copy).unwrap() == content(3000), "{name}");

        if name == "versitygw" {
            let refused = [
                fixture.put(&url, &[("content-type", "text/html")], &content(3000)),
                fixture.put(&url, &png, &content(2999)),
                fixture.put(&url.replace("X-Amz-Expires=300", "X-Amz-Expires=301"), &png, &content(3000)),
            ];
            assert_eq!(refused.map(|answer| answer.status), [403; 3], "the type, the size and the time are signed");
        }
        let replaced: Vec<u8> = content(3000).iter().rev().copied().collect();
        assert_eq!(fixture.put(&url, &png, &replaced).status, 200, "{name}");
        // gofakes3 gives what is there: then the worker's own copy counts, which it validates as a whole.
        let is_pinned = name == "versitygw";
        assert_eq!(storage.take_uploaded(id, &uploaded).await.unwrap().is_none(), is_pinned, "{name}");
        assert_eq!(storage.uploaded_head(id, &uploaded, 100).await.unwrap().is_none(), is_pinned, "{name}");
    }
}

#[tokio::test]
async fn each_store_takes_a_file_in_parts_at_their_urls() {
    for fixture in Fixture::buckets("each_store_takes_a_file_in_parts_at_their_urls").await {
        let (storage, name, id) = (&fixture.storage, fixture.name(), MediaId::generate());
        let bytes = content(9_000_000);
        let upload = storage.begin_parts(id, "video/mp4").await.unwrap().unwrap();
        let size = part_size(bytes.len() as u64) as usize;
        for (number, part) in (1..).zip(bytes.chunks(size)) {
            let length = part.len().try_into().unwrap();
            let to_sign = PartUrl { id, upload: &upload, number, length, begins_at: now(), life: LIFE };
            let url = storage.part_url(&to_sign).await.unwrap().unwrap();
            let answer = fixture.put(&url, &[], part);
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
        let parts = storage.parts(id, &upload).await.unwrap().unwrap();
        assert_eq!(parts.iter().map(|part| part.size).collect::<Vec<_>>(), [8 << 20, 9_000_000 - (8 << 20)], "{name}");
        storage.complete_parts(id, &upload, &parts).await.unwrap();
        assert_eq!(storage.parts(id, &upload).await.unwrap(), None, "{name}: there are no parts any more");
        let uploaded = storage.uploaded(id).await.unwrap().unwrap();
        let copy = storage.take_uploaded(id, &uploaded).await.unwrap().unwrap();
        assert!(fs_err::read(&copy).unwrap() == bytes, "{name}");

        let aborted = storage.begin_parts(id, "video/mp4").await.unwrap().unwrap();
        for _ in 0..2 {
            storage.abort_parts(id, &aborted).await.unwrap();
        }
        assert_eq!(storage.parts(id, &aborted).await.unwrap(), None, "{name}");
    }
}
