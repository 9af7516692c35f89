//! Changing media: fields, versions, bulk, the trash.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Service, eventually},
};

#[tokio::test]
async fn a_change_names_the_version_that_it_is_based_on() {
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(9, 9), "a.png", "image/png").await;
    let (id, path) = (media["id"].as_str().unwrap(), format!("/api/media/{}", media["id"].as_str().unwrap()));
    let tag = service.get(&path).await.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, "\"1\"");

    let change = json!({ "name": "b.png", "description": "line\nline", "tags": [" x ", "y", "x"] });
    let changed = service.request(Method::PATCH, &path).header("if-match", &tag).json(&change).send().await.unwrap();
    assert_eq!((changed.status(), changed.headers()["etag"].to_str().unwrap()), (StatusCode::OK, "\"2\""));
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["tags"]),
        (&json!("b.png"), &json!("line\nline"), &json!(["x", "y"]))
    );

    let late = service.request(Method::PATCH, &path).header("if-match", &tag).json(&change).send().await.unwrap();
    assert_eq!(late.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(late.json::<Value>().await.unwrap()["error"]["code"], "other_version");
    assert_eq!(service.change(id, &json!({ "name": "c" })).await.status(), StatusCode::OK);

    let many: Vec<_> = (0..101).map(|number| number.to_string()).collect();
    for (bad, code) in [
        (json!({ "name": "a/b" }), "invalid_name"),
        (json!({ "description": "\u{7}" }), "invalid_description"),
        (json!({ "tags": [""] }), "invalid_tags"),
        (json!({ "tags": ["a\0b"] }), "invalid_tags"),
        (json!({ "tags": many }), "invalid_tags"),
        (json!({ "nmae": "typo" }), "bad_json"),
    ] {
        let refused = service.change(id, &bad).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], code, "{bad}");
    }
    let nowhere = service.change("01ARZ3NDEKTSV4RRFFQ69G5FAV", &json!({ "name": "a" })).await;
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn many_media_are_tagged_and_deleted_at_once_and_come_back() {
    let service = Service::signed_in().await;
    let mut ids = Vec::new();
    for side in 10..13 {
        ids.push(service.upload(&pictures::png(side, 9), "a.png", "image/png").await.1["id"].clone());
    }
    let bulk = async |body: Value| {
        let response = service.request(Method::POST, "/api/media/bulk").json(&body).send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let (status, tagged) = bulk(json!({ "ids": ids, "action": "tag", "tags": ["x", "y"] })).await;
    assert_eq!((status, tagged["changed"].as_array().unwrap().len()), (StatusCode::OK, 3));
    let (_, again) = bulk(json!({ "ids": ids, "action": "tag", "tags": ["y"] })).await;
    assert_eq!(again["changed"], json!([]), "nothing to change");
    let (_, untagged) = bulk(json!({ "ids": [ids[0]], "action": "untag", "tags": ["x"] })).await;
    assert_eq!(untagged["changed"], json!([ids[0]]));
    assert_eq!(service.json("/api/media?tag=x").await["items"].as_array().unwrap().len(), 2);

    let (_, deleted) = bulk(json!({ "ids": ids, "action": "delete" })).await;
    assert_eq!(deleted["changed"].as_array().unwrap().len(), 3);
    assert_eq!(service.json("/api/media").await["items"], json!([]));
    assert_eq!(service.json("/api/media?trash=true").await["items"].as_array().unwrap().len(), 3);
    let restored = service.request(Method::POST, &format!("/api/media/{}/restore", ids[1].as_str().unwrap()));
    assert_eq!(restored.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(service.json("/api/media").await["items"][0]["id"], ids[1]);

    for bad in [
        json!({ "ids": [], "action": "delete" }),
        json!({ "ids": ["x"], "action": "delete" }),
        json!({ "ids": ids, "action": "tag" }),
        json!({ "ids": ids, "action": "delete", "tags": ["x"] }),
        json!({ "ids": vec![&ids[0]; 1001], "action": "delete" }),
    ] {
        assert_eq!(bulk(bad.clone()).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn the_trash_is_emptied_after_thirty_days() {
    let service = Service::signed_in().await;
    let (mut old, mut young) = (String::new(), String::new());
    for (id, side) in [(&mut old, 10), (&mut young, 11)] {
        *id = service.upload(&pictures::png(side, 9), "a.png", "image/png").await.1["id"].as_str().unwrap().to_owned();
        service.delete(id).await;
    }
    let aged = sqlx::query("UPDATE media SET deleted_at = now() - interval '31 days' WHERE id = $1").bind(&old);
    aged.execute(&service.pool).await.unwrap();
    // The next start looks at once.
    let service = service.restart().await;
    eventually("the old one is gone", async || service.rows().await == 1).await;
    eventually("so are its files", async || service.stored().len() == 3).await;
    assert_eq!(service.json(&format!("/api/media/{young}")).await["name"], "a.png");
}
