//! A user of the service.

use std::io::Cursor;

use image::ImageFormat;
use serde_json::{Value, json};

use crate::site::Site;
use testkit::client::Client;

const USERNAME: &str = "ada";

/// A photograph of 8 MB and one above the service's limit, from Debian's package mate-backgrounds.
const PHOTOGRAPH: &str = "/usr/share/backgrounds/mate/abstract/Elephants_3840x2160.jpg";
const TOO_LARGE: &str = "/usr/share/backgrounds/mate/abstract/Elephants_5640x3172.jpg";

/// A picture to upload.
pub struct Picture {
    name: &'static str,
    mime: &'static str,
    bytes: Vec<u8>,
    size: (u32, u32),
}

/// A signed-in user.
pub struct Visitor {
    pub client: Client,
    pub token: String,
}

impl Picture {
    /// A real photograph if this machine has it, otherwise a picture that compresses as badly.
    pub fn photograph() -> Self {
        match fs_err::read(PHOTOGRAPH) {
            Ok(bytes) => Self { name: "Elephants in the mist.jpg", mime: "image/jpeg", bytes, size: (3840, 2160) },
            Err(_) => Self::generated(1600, 900),
        }
    }

    /// A generated picture with all colours.
    pub fn generated(width: u32, height: u32) -> Self {
        Self::numbered(width, height, 0)
    }

    /// Like the others, but with a number in its first pixels: the service keeps the same bytes once.
    pub fn numbered(width: u32, height: u32, number: u32) -> Self {
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            if let (Some(byte), 0) = (number.to_be_bytes().get(x as usize), y) {
                return image::Rgb([*byte; 3]);
            }
            let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 24;
            image::Rgb([(x % 256) as u8, (y % 256) as u8, noise as u8])
        });
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        Self { name: "generated.png", mime: "image/png", bytes, size: (width, height) }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Visitor {
    /// Creates the first account, with the bootstrap token from the deploy's secrets.
    pub fn sign_up(site: &Site) -> Self {
        let account =
            |token: &str| json!({ "username": USERNAME, "password": site.password(), "bootstrap_token": token });
        let mut client = Client::new(site.port);
        client.post_json("/api/auth/register", &account(&"0".repeat(64))).unwrap().expect(403);
        let answer =
            client.post_json("/api/auth/register", &account(&site.secret("BOOTSTRAP_TOKEN"))).unwrap().expect(201);
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        Self { client: client.signed_in(&token), token }
    }

    pub fn log_in(site: &Site) -> Self {
        let mut client = Client::new(site.port);
        let account = json!({ "username": USERNAME, "password": site.password() });
        let answer = client.post_json("/api/auth/login", &account).unwrap().expect(200);
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        Self { client: client.signed_in(&token), token }
    }

    /// Uploads a picture and returns the service's description of it.
    pub fn upload(&mut self, picture: &Picture) -> Value {
        let answer = self.client.post_file("/api/media", picture.name, picture.mime, &picture.bytes).unwrap();
        // The README's first visit may have uploaded it before.
        let media = answer.json();
        let expected = if media["duplicate"] == true { 200 } else { 201 };
        assert_eq!(answer.status, expected, "{media}");
        assert_eq!((media["status"].as_str(), media["type"].as_str()), (Some("ready"), Some("image")), "{media}");
        assert_eq!(
            (media["width"].as_u64(), media["height"].as_u64()),
            (Some(picture.size.0.into()), Some(picture.size.1.into()))
        );
        media
    }

    /// Checks a picture in the list, its thumbnail and its original.
    pub fn look_at(&mut self, media: &Value, picture: &Picture) {
        assert!(self.lists(media), "the list lacks {media}");
        let thumbnail = self.client.get(media["thumbnail_url"].as_str().unwrap()).unwrap().expect(200);
        assert_eq!(thumbnail.header("content-type"), Some("image/webp"));
        let (_, width, height) = webpx::decode_rgba(&thumbnail.body).unwrap();
        let (longest, ratio) = (width.max(height), f64::from(width) / f64::from(height));
        assert!(longest <= 600 && longest >= 599.min(picture.size.0.max(picture.size.1)), "{longest}");
        let expected = f64::from(picture.size.0) / f64::from(picture.size.1);
        assert!((ratio - expected).abs() < 0.01, "{ratio} instead of {expected}");

        let original = self.client.get(media["file_url"].as_str().unwrap()).unwrap().expect(200);
        assert!(original.body == picture.bytes, "the original came back as {} other bytes", original.body.len());
    }

    /// Whether any page of the list has it.
    fn lists(&mut self, media: &Value) -> bool {
        let mut path = "/api/media?limit=100".to_owned();
        loop {
            let page = self.client.get(&path).unwrap().expect(200).json();
            if page["items"].as_array().unwrap().iter().any(|item| item["id"] == media["id"]) {
                return true;
            }
            let Some(next) = page["next"].as_str() else { return false };
            path = format!("/api/media?limit=100&before={next}");
        }
    }

    /// Deletes a picture and checks that it is gone.
    pub fn delete(&mut self, media: &Value) {
        let path = format!("/api/media/{}", media["id"].as_str().unwrap());
        self.client.delete(&format!("{path}?permanent=true")).unwrap().expect(204);
        self.client.get(&path).unwrap().expect(404);
        self.client.get(media["file_url"].as_str().unwrap()).unwrap().expect(404);
        self.client.get(media["thumbnail_url"].as_str().unwrap()).unwrap().expect(404);
    }

    /// Checks that the service refuses a file with a message before all of it is sent.
    pub fn is_refused_too_large(&mut self) {
        if let Ok(bytes) = fs_err::read(TOO_LARGE) {
            let answer = self.client.post_file("/api/media", "large.jpg", "image/jpeg", &bytes).unwrap().expect(413);
            assert_eq!(answer.json()["error"]["code"], "too_large");
        }
    }
}
