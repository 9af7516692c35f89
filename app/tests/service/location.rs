//! What others get of a picture that tells where it was taken.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{CLIENT, PASSWORD, Service, files_below},
};

const LATITUDE: &[u8] = &[0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 8];

fn has_latitude(bytes: &[u8]) -> bool {
    bytes.windows(LATITUDE.len()).any(|window| window == LATITUDE)
}

/// The token of a second account, a member.
async fn member(service: &Service) -> String {
    let invite = service.request(Method::POST, "/api/invites").json(&json!({})).send().await.unwrap();
    let invite: Value = invite.json().await.unwrap();
    let body = json!({ "username": "second", "password": PASSWORD, "invite": invite["token"] });
    let registered = service.request(Method::POST, "/api/auth/register").json(&body).send().await.unwrap();
    assert_eq!(registered.status(), StatusCode::CREATED);
    registered.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn others_get_a_picture_without_its_location_and_its_uploader_gets_all_of_it() {
    let service = Service::signed_in().await;
    let member = member(&service).await;
    let picture = pictures::located(&pictures::jpeg(300, 200));
    assert!(has_latitude(&picture));
    let (status, media) = service.upload(&picture, "a.jpg", "image/jpeg").await;
    assert_eq!((status, &media["has_location"]), (StatusCode::CREATED, &true.into()), "{media}");
    let id = media["id"].as_str().unwrap();
    for url in ["file_url", "thumbnail_url", "clipboard_url"] {
        let bytes = service.get(media[url].as_str().unwrap()).await.bytes().await.unwrap();
        assert!(!has_latitude(&bytes), "{url}");
        assert_eq!(url == "file_url", bytes.len() == picture.len(), "{url}: nothing else moved");
    }
    let (status, again) = service.upload(&picture, "b.jpg", "image/jpeg").await;
    assert_eq!((status, &again["id"]), (StatusCode::OK, &media["id"]), "the same bytes are recognised");

    let path = format!("/api/media/{id}/original");
    let original = service.get(&path).await;
    let types: Vec<_> = original.headers().get_all("content-type").iter().collect();
    assert_eq!(types, ["image/jpeg"]);
    assert!(original.bytes().await.unwrap() == picture);
    for (range, expected) in [("bytes=0-9", StatusCode::PARTIAL_CONTENT), ("", StatusCode::OK)] {
        let part = service.request(Method::GET, &path).header("range", range).send().await.unwrap();
        assert_eq!(part.status(), expected, "{range:?}");
    }
    let url = format!("http://{}{path}", service.process.address);
    assert_eq!(CLIENT.get(&url).bearer_auth(&member).send().await.unwrap().status(), StatusCode::FORBIDDEN);

    // What holds it has a name that nothing tells, and no URL.
    let kept = files_below(&service.folder.path().join("private"));
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    let name = kept.file_name().unwrap().to_str().unwrap();
    assert!(has_latitude(&fs_err::read(kept).unwrap()) && !media.to_string().contains(name));
    for name in [name, id] {
        assert_eq!(service.get(&format!("/api/files/private/{name}")).await.status(), StatusCode::NOT_FOUND);
    }

    // Deriving anew begins from the picture as it was received.
    let derive = format!("/api/media/{id}/thumbnails");
    assert_eq!(service.request(Method::POST, &derive).send().await.unwrap().status(), StatusCode::ACCEPTED);
    crate::support::eventually("it is done", async || {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM job").fetch_one(&service.pool).await.unwrap() == 0
    })
    .await;
    assert!(service.get(&path).await.bytes().await.unwrap() == picture);
    let deleted = service.request(Method::DELETE, &format!("/api/media/{id}?permanent=true")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    service.assert_nothing_stored("deleted with what was kept of it").await;
}

#[tokio::test]
async fn with_strip_location_off_everybody_gets_the_file_as_it_was_received() {
    let service = Service::start_with(|setup| setup.var("STRIP_LOCATION", "off")).await.sign_in().await;
    let picture = pictures::located(&pictures::jpeg(300, 200));
    let (_, media) = service.upload(&picture, "a.jpg", "image/jpeg").await;
    assert!(service.get(media["file_url"].as_str().unwrap()).await.bytes().await.unwrap() == picture);
}
