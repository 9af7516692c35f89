//! Uploading, listing and deleting media.

use std::collections::HashSet;

use image::{DynamicImage, ImageFormat, Rgb};
use reqwest::{Method, StatusCode, multipart};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{PASSWORD, Service},
};

async fn thumbnail(service: &Service, media: &Value) -> DynamicImage {
    let response = service.get(media["thumbnail_url"].as_str().unwrap()).await;
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"image/webp".parse().unwrap())
    );
    let bytes = response.bytes().await.unwrap();
    let metadata = [b"EXIF", b"XMP ", b"ICCP"].iter().any(|chunk| bytes.windows(4).any(|four| four == *chunk));
    assert!(!metadata, "metadata is stripped");
    image::load_from_memory_with_format(&bytes, ImageFormat::WebP).unwrap()
}

fn is_red(picture: &DynamicImage, x: u32, y: u32) -> bool {
    let Rgb([red, green, blue]) = *picture.to_rgb8().get_pixel(x, y);
    red > 190 && green < 90 && blue < 90
}

#[tokio::test]
async fn an_uploaded_photo_is_described_and_gets_an_upright_thumbnail() {
    let service = Service::signed_in().await;
    // Orientation 6: the stored upper left corner is displayed at the upper right.
    let photograph = pictures::oriented(&pictures::jpeg(2400, 1600), 6);
    let (status, media) = service.upload(&photograph, "Loma ☀.jpg", "image/jpeg").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");

    let id = media["id"].as_str().unwrap();
    let mut described = media.clone();
    described["created_at"].take();
    for url in ["file_url", "thumbnail_url"] {
        let (path, version) = media[url].as_str().unwrap().split_once("?v=").unwrap();
        assert!(!version.is_empty(), "{media}");
        described[url] = path.into();
    }
    let expected = json!({
        "id": id, "name": "Loma ☀.jpg", "description": "", "type": "image", "status": "ready", "tags": [],
        "file_url": format!("/api/files/uploads/{id}"), "thumbnail_url": format!("/api/files/thumbs/{id}.webp"),
        "clipboard_url": null, "size": photograph.len(), "mime_type": "image/jpeg", "width": 1600, "height": 2400,
        "ocr_text": null, "uploader": "first", "created_at": null,
    });
    assert_eq!(described, expected);
    assert_eq!(service.get(&format!("/api/media/{id}")).await.json::<Value>().await.unwrap(), media);

    let original = service.get(media["file_url"].as_str().unwrap()).await.bytes().await.unwrap();
    assert!(original == photograph, "the original is unchanged");
    let thumbnail = thumbnail(&service, &media).await;
    assert_eq!((thumbnail.width(), thumbnail.height()), (400, 600));
    assert!(is_red(&thumbnail, 390, 10) && is_red(&thumbnail, 210, 290), "the red corner is at the upper right");
    assert!(!is_red(&thumbnail, 10, 10) && !is_red(&thumbnail, 390, 590));
}

#[tokio::test]
async fn all_image_types_are_accepted_and_never_enlarged() {
    let service = Service::signed_in().await;
    let photograph = DynamicImage::from(pictures::photograph(90, 60));
    let deep = photograph.to_rgba16().into();
    let pictures = [
        ("image/jpeg", pictures::jpeg(90, 60)),
        ("image/jpeg", pictures::progressive_jpeg(90, 60)),
        ("image/jpeg", pictures::gray_jpeg(90, 60)),
        ("image/jpeg", pictures::cmyk_jpeg(90, 60)),
        ("image/png", pictures::png(90, 60)),
        ("image/png", pictures::encode(&deep, ImageFormat::Png)),
        ("image/png", pictures::encode(&photograph.to_luma_alpha8().into(), ImageFormat::Png)),
        ("image/webp", pictures::encode(&photograph, ImageFormat::WebP)),
        ("image/gif", pictures::gif(90, 60, 1)),
        ("image/gif", pictures::gif(90, 60, 12)),
    ];
    for (number, (mime_type, bytes)) in pictures.iter().enumerate() {
        // An unknown declared type is accepted.
        let declared = if number % 2 == 0 { mime_type } else { "application/octet-stream" };
        let (status, media) = service.upload(bytes, "a", declared).await;
        assert_eq!(status, StatusCode::CREATED, "{number} {mime_type}: {media}");
        let facts = (media["mime_type"].as_str().unwrap(), media["width"].as_u64(), media["height"].as_u64());
        assert_eq!(facts, (*mime_type, Some(90), Some(60)));
        let thumbnail = thumbnail(&service, &media).await;
        assert_eq!((thumbnail.width(), thumbnail.height()), (90, 60), "{number} {mime_type}");
        let is_gray = matches!(number, 2 | 6);
        assert!(is_gray || is_red(&thumbnail, 20, 15), "{number} {mime_type}: the colours are right");
    }
    let (_, wide) = service.upload(&pictures::png(1300, 20), "wide.png", "image/png").await;
    let thumbnail = thumbnail(&service, &wide).await;
    assert_eq!((thumbnail.width(), thumbnail.height()), (600, 9));
}

#[tokio::test]
async fn media_is_paged_newest_first_and_deleted_media_is_gone() {
    let service = Service::signed_in().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let picture = multipart::Part::bytes(pictures::png(4, 4)).file_name("a.png");
        let form = multipart::Form::new()
            .text("name", format!("number {number}"))
            .part("file", picture)
            .text("description", "line one\nline two");
        let (status, media) = service.upload_form(form).await;
        assert_eq!(status, StatusCode::CREATED, "{media}");
        assert_eq!(
            (&media["name"], &media["description"]),
            (&json!(format!("number {number}")), &json!("line one\nline two"))
        );
        ids.insert(0, media["id"].as_str().unwrap().to_owned());
    }
    // Ids of the same millisecond are in random order, and the service sorts by id.
    ids.sort_unstable_by(|one, other| other.cmp(one));

    let (mut seen, mut page) = (Vec::new(), "/api/media?limit=2".to_owned());
    loop {
        let response: Value = service.get(&page).await.json().await.unwrap();
        seen.extend(response["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = response["next"].as_str() else { break };
        page = format!("/api/media?limit=2&before={next}");
    }
    assert_eq!(seen, ids);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 5);
    for bad in ["limit=0", "limit=101", "limit=x", "before=x"] {
        let response = service.get(&format!("/api/media?{bad}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "bad_paging");
    }

    assert_eq!(service.stored().len(), 10);
    for id in &ids {
        let path = format!("/api/media/{id}");
        assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        for gone in [path, format!("/api/files/uploads/{id}"), format!("/api/files/thumbs/{id}.webp")] {
            assert_eq!(service.get(&gone).await.status(), StatusCode::NOT_FOUND, "{gone}");
        }
    }
    service.assert_nothing_stored("all media deleted").await;
    assert!(!service.process.log().join("\n").contains(PASSWORD));
}
