//! Uploads real pictures from a folder, if there is one.

use std::{future::ready, path::Path};

use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;

use crate::{
    pictures,
    support::{Service, files_below},
};

#[tokio::test]
async fn real_pictures_within_the_limits_are_accepted() {
    let Some(folder) = std::env::var_os("TEST_PICTURES_DIR").filter(|folder| Path::new(folder).is_dir()) else {
        eprintln!("skipped: TEST_PICTURES_DIR is not a folder; the Debian package mate-backgrounds has pictures");
        return;
    };
    let service = Service::signed_in().await;
    let pictures = files_below(Path::new(&folder)).into_iter().filter_map(|path| {
        let mime_type = match path.extension().and_then(|extension| extension.to_str()) {
            Some("jpg" | "jpeg") => "image/jpeg",
            Some("png") => "image/png",
            Some("webp") => "image/webp",
            _ => return None,
        };
        Some((path, mime_type))
    });
    let service = &service;
    let uploads = stream::iter(pictures).map(async |(path, mime_type)| upload(service, &path, mime_type).await);
    let accepted = uploads.buffer_unordered(8).filter(|is_accepted| ready(*is_accepted)).count().await;
    assert!(accepted > 0, "TEST_PICTURES_DIR contains no pictures");
}

/// Returns false if the file exceeds the size limit.
async fn upload(service: &Service, path: &Path, mime_type: &str) -> bool {
    let bytes = fs_err::read(path).unwrap();
    let (status, media) = service.upload(&bytes, "picture", mime_type).await;
    if bytes.len() > 10_485_760 {
        assert_eq!((status, &media["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &"too_large".into()));
        return false;
    }
    assert_eq!(status, StatusCode::CREATED, "{}: {media}", path.display());
    let thumbnail = service.get(media["thumbnail_url"].as_str().unwrap()).await.bytes().await.unwrap();
    let small = pictures::decode_webp(&thumbnail);
    let (width, height) = (media["width"].as_f64().unwrap(), media["height"].as_f64().unwrap());
    assert_eq!(f64::from(small.width().max(small.height())), width.max(height).min(600.0), "{}", path.display());
    let stretched = f64::from(small.width()) / f64::from(small.height()) / (width / height);
    assert!((0.99..1.01).contains(&stretched), "{}: stretched by {stretched}", path.display());
    true
}
