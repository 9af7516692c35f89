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
    pictures::decode_webp(&bytes)
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
    for (field, beginning) in [
        ("file_url", format!("/api/files/uploads/{id}?v=")),
        ("thumbnail_url", format!("/api/files/thumbs/{id}.webp?v=")),
        ("clipboard_url", format!("/api/files/clipboard/{id}.png?v=")),
        ("created_at", "20".into()),
        ("listed_at", "20".into()),
        ("thumbhash", String::new()),
    ] {
        let value = described[field].take();
        assert!(value.as_str().unwrap().starts_with(&beginning), "{field}: {value}");
    }
    let expected = json!({
        "id": id, "name": "Loma ☀.jpg", "description": "", "type": "image", "status": "ready", "tags": [],
        "file_url": null, "thumbnail_url": null, "clipboard_url": null, "thumbhash": null, "failure": null,
        "captured_at": null, "camera": null, "duration_ms": null, "codec": null, "has_audio": null,
        "duplicate": false, "version": 1, "has_location": false, "deleted_at": null, "size": photograph.len(), "mime_type": "image/jpeg", "width": 1600, "height": 2400,
        "ocr_text": null, "uploader": "first", "created_at": null, "listed_at": null,
    });
    assert_eq!(described, expected);
    let mut again = service.json(&format!("/api/media/{id}")).await;
    again["duplicate"] = false.into();
    assert_eq!(again, media);

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
        ("image/webp", pictures::webp(90, 60)),
        ("image/tiff", pictures::encode(&photograph, ImageFormat::Tiff)),
        ("image/gif", pictures::gif(90, 60, 1)),
        ("image/gif", pictures::gif(90, 60, 12)),
    ];
    for (number, (mime_type, bytes)) in pictures.iter().enumerate() {
        // The content decides, whatever is declared.
        let declared = [*mime_type, "application/octet-stream", "image/svg+xml", "image/apng; q=1"][number % 4];
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
        let picture = multipart::Part::bytes(pictures::png(4 + number, 4)).file_name("a.png");
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

    assert_eq!(service.stored().len(), 15);
    for id in &ids {
        let (path, deletion) = (format!("/api/media/{id}"), format!("/api/media/{id}?permanent=true"));
        assert_eq!(service.request(Method::DELETE, &deletion).send().await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(service.request(Method::DELETE, &deletion).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        for gone in [path, format!("/api/files/uploads/{id}"), format!("/api/files/thumbs/{id}.webp")] {
            assert_eq!(service.get(&gone).await.status(), StatusCode::NOT_FOUND, "{gone}");
        }
    }
    service.assert_nothing_stored("all media deleted").await;
    assert!(!service.process.log().join("\n").contains(PASSWORD));
}
