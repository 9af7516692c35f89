//! Share links: what their makers do, and what guests see.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    accounts::{call, json_of, post},
    pictures,
    support::{CLIENT, PASSWORD, Service},
};

async fn upload(service: &Service, side: u32) -> Value {
    let (status, media) = service.upload(&pictures::png(side, 9), "a.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    media
}

/// Creates a share.
async fn share(service: &Service, body: Value) -> Value {
    let (status, share) = post(service, "/api/shares", body).await;
    assert_eq!(status, StatusCode::CREATED, "{share}");
    share
}

/// Sends a request without a token of an account.
async fn guest(service: &Service, path: &str) -> Response {
    CLIENT.get(format!("http://{}/api/shared/{path}", service.process.address)).send().await.unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_guest_sees_what_is_shared_as_it_is_now_and_nothing_else() {
    let service = Service::signed_in().await;
    let (first, second) = (upload(&service, 10).await, upload(&service, 11).await);
    let body = json!({ "items": [second["id"], first["id"], second["id"]], "title": "Kesä ☀", "expires_at": null });
    let response = service.request(Method::POST, "/api/shares").json(&body).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, share) = json_of(response).await;
    assert_eq!(status, StatusCode::CREATED, "{share}");
    let token = text(&share["token"]);
    assert_eq!((&share["items"], &share["shown"], &share["has_password"]), (&json!(2), &json!(2), &json!(false)));
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let stored: Vec<u8> = sqlx::query_scalar("SELECT token_sha256 FROM share").fetch_one(&service.pool).await.unwrap();
    assert_eq!(stored, ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());

    let response = guest(&service, token).await;
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store".into(), "no-referrer".into()));
    let (status, seen) = json_of(response).await;
    assert_eq!(status, StatusCode::OK, "{seen}");
    let item = |media: &Value| {
        let names = "name type mime_type size width height thumbhash duration_ms file_url thumbnail_url clipboard_url";
        Value::Object(names.split(' ').map(|name| (name.to_owned(), media[name].clone())).collect())
    };
    assert_eq!(seen, json!({ "title": "Kesä ☀", "expires_at": null, "items": [item(&second), item(&first)] }));
    for url in ["file_url", "thumbnail_url", "clipboard_url"] {
        let url = format!("http://{}{}", service.process.address, text(&seen["items"][0][url]));
        assert_eq!(CLIENT.get(url).send().await.unwrap().status(), StatusCode::OK);
    }

    let shown = async || json_of(guest(&service, token).await).await.1["items"].as_array().unwrap().len();
    let counts = async || {
        let shares = service.json("/api/shares").await;
        (shares["items"][0]["items"].clone(), shares["items"][0]["shown"].clone())
    };
    let id = text(&second["id"]);
    service.delete(id).await;
    assert_eq!((shown().await, counts().await), (1, (json!(2), json!(1))), "in the trash");
    let restored = service.request(Method::POST, &format!("/api/media/{id}/restore")).send().await.unwrap();
    assert_eq!(restored.status(), StatusCode::OK);
    assert_eq!((shown().await, counts().await), (2, (json!(2), json!(2))), "restored");
    sqlx::query("UPDATE media SET status = 'pending' WHERE id = $1").bind(id).execute(&service.pool).await.unwrap();
    assert_eq!((shown().await, counts().await), (1, (json!(2), json!(1))), "not ready");
    let deleted = service.request(Method::DELETE, &format!("/api/media/{id}?permanent=true")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!((shown().await, counts().await), (1, (json!(1), json!(1))), "deleted");
}

/// What a chat program reads of a link: the properties of Open Graph, and the whole answer.
async fn preview(service: &Service, token: &str) -> (Vec<(String, String)>, reqwest::header::HeaderMap, String) {
    let url = format!("http://{}/s/{token}", service.process.address);
    let request = CLIENT.get(url).header("host", "pics.example").header("x-forwarded-proto", "https");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let (headers, page) = (response.headers().clone(), response.text().await.unwrap());
    let properties = page.split(r#"<meta property="og:"#).skip(1).map(|element| {
        let (name, rest) = element.split_once(r#"" content=""#).unwrap();
        (name.to_owned(), rest.split_once("\">").unwrap().0.to_owned())
    });
    (properties.collect(), headers, page)
}

#[tokio::test]
async fn a_link_has_a_preview_of_what_every_guest_sees() {
    const INDEX: &str = "<!doctype html><html><head><title>UI</title></head><body></body></html>";
    let site = tempfile::tempdir().unwrap();
    fs_err::write(site.path().join("index.html"), INDEX).unwrap();
    let service = Service::start_with(|setup| setup.var("STATIC_DIR", site.path().display())).await.sign_in().await;
    let (status, second) = service.upload(&pictures::jpeg(1200, 600), "<script>.jpg", "image/jpeg").await;
    assert_eq!(status, StatusCode::CREATED, "{second}");
    let first = upload(&service, 10).await;
    let body = json!({ "items": [second["id"], first["id"]], "title": "Kesä <\"&'> ☀" });
    let open = share(&service, body).await;
    let token = text(&open["token"]);

    let (properties, headers, page) = preview(&service, token).await;
    let image = format!("https://pics.example{}", text(&second["thumbnail_url"]));
    let url = format!("https://pics.example/s/{token}");
    let expected = [
        ("type", "website"),
        ("url", &url),
        ("site_name", "meemi"),
        ("title", "Kesä &lt;&quot;&amp;'&gt; ☀"),
        ("description", "2 pictures"),
        ("image", &image),
        ("image:type", "image/webp"),
        ("image:width", "600"),
        ("image:height", "300"),
        ("image:alt", "&lt;script&gt;.jpg"),
    ];
    assert_eq!(properties, expected.map(|(name, content)| (name.to_owned(), content.to_owned())));
    assert!(
        page.starts_with("<!doctype html><html><head><title>UI</title><meta")
            && page.ends_with("</head><body></body></html>"),
        "{page}"
    );
    assert_eq!((&headers["cache-control"], headers.get("etag")), (&"no-store".parse().unwrap(), None));
    assert_eq!(
        (&headers["referrer-policy"], &headers["content-type"]),
        (&"no-referrer".parse().unwrap(), &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    let picture = image.replace("https://pics.example", &format!("http://{}", service.process.address));
    assert_eq!(CLIENT.get(picture).send().await.unwrap().status(), StatusCode::OK);

    // What guests do not see is not told: what is in the trash, what has a password, what was revoked or has expired.
    service.delete(text(&second["id"])).await;
    let value_of = async |name: &str| {
        let properties = preview(&service, token).await.0;
        properties.into_iter().find_map(|(found, value)| (found == name).then_some(value))
    };
    let image = format!("https://pics.example{}", text(&first["thumbnail_url"]));
    assert_eq!(value_of("image").await, Some(image));
    let size = format!("{} × {}", first["width"], first["height"]);
    assert_eq!(value_of("description").await, Some(format!("Picture, {size}")));
    assert_eq!((value_of("type").await, value_of("video").await), (Some("website".to_owned()), None));

    // A single clip can be played.
    sqlx::query("UPDATE media SET kind = 'video', mime_type = 'video/mp4'").execute(&service.pool).await.unwrap();
    let clip = format!("https://pics.example{}", text(&first["file_url"]));
    let [kind, description, video, mime] =
        [value_of("type").await, value_of("description").await, value_of("video").await, value_of("video:type").await];
    assert_eq!((kind.as_deref(), description), (Some("video.other"), Some(format!("Clip, {size}"))));
    // The version in the address is another one since the row has changed.
    let path = |url: &str| url.split('?').next().unwrap().to_owned();
    assert_eq!((video.as_deref().map(path), mime.as_deref()), (Some(path(&clip)), Some("video/mp4")));
    sqlx::query("UPDATE media SET kind = 'image', mime_type = 'image/jpeg'").execute(&service.pool).await.unwrap();
    service.delete(text(&first["id"])).await;
    assert_eq!(preview(&service, token).await.0.last().unwrap().0, "title");
    let third = upload(&service, 12).await;
    let locked = share(&service, json!({ "items": [third["id"]], "title": "hidden", "password": PASSWORD })).await;
    let expired = share(&service, json!({ "items": [third["id"]], "title": "hidden" })).await;
    sqlx::query("UPDATE share SET expires_at = now() WHERE title = 'hidden' AND password_hash IS NULL")
        .execute(&service.pool)
        .await
        .unwrap();
    let path = format!("/api/shares/{}", text(&open["id"]));
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    for token in [text(&locked["token"]), text(&expired["token"]), token, &"0".repeat(64), "x", "%ff", "%00"] {
        assert_eq!(preview(&service, token).await.2, INDEX, "{token}");
    }
    let log = service.process.log();
    assert!(!format!("{log:?}").contains(token));
}

#[tokio::test]
async fn tokens_that_are_unknown_revoked_or_expired_look_alike() {
    let service = Service::signed_in().await;
    let media = upload(&service, 10).await;
    let body = json!({ "items": [media["id"]], "password": PASSWORD, "expires_at": "2999-01-01T00:00:00Z" });
    assert_eq!(post(&service, "/api/shares", body.clone()).await.1["error"]["code"], "invalid_expiry");
    let soon = time::OffsetDateTime::now_utc() + time::Duration::days(365);
    let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
    let with_password = json!({ "items": [media["id"]], "password": PASSWORD, "expires_at": soon });
    let (revoked, expired) = (share(&service, with_password.clone()).await, share(&service, with_password).await);
    for token in [&revoked["token"], &expired["token"]] {
        assert_eq!(guest(&service, text(token)).await.status(), StatusCode::UNAUTHORIZED, "it is open until then");
    }
    let path = format!("/api/shares/{}", text(&revoked["id"]));
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    sqlx::query("UPDATE share SET expires_at = now()").execute(&service.pool).await.unwrap();
    assert_eq!(service.json("/api/shares").await["items"].as_array().unwrap().len(), 1, "the expired one is listed");

    let answer = async |path: &str, method: Method| {
        let url = format!("http://{}/api/shared/{path}", service.process.address);
        let response = CLIENT.request(method, url).json(&json!({ "password": PASSWORD })).send().await.unwrap();
        let mut headers = response.headers().clone();
        headers.remove("x-request-id");
        headers.remove("date");
        let (status, body) = json_of(response).await;
        (status, headers, body["error"]["code"].clone(), body["error"]["message"].clone())
    };
    let unknown = "0".repeat(64);
    let expected = answer(&unknown, Method::GET).await;
    assert_eq!((expected.0, &expected.2), (StatusCode::NOT_FOUND, &json!("not_found")));
    let (upper, long) = (text(&expired["token"]).to_uppercase(), "a".repeat(8000));
    for token in [text(&revoked["token"]), text(&expired["token"]), &upper, "x", "%00", "%ff", "%2e%2e%2f", &long] {
        assert_eq!(answer(token, Method::GET).await, expected, "{token}");
        assert_eq!(answer(&format!("{token}/session"), Method::POST).await, expected, "{token}");
    }
    // None of these took the work of a password, or counts as a guess.
    for _ in 0..60 {
        assert_eq!(answer(&format!("{unknown}/session"), Method::POST).await, expected);
    }
}

#[tokio::test]
async fn a_password_opens_its_share_only_and_guesses_are_slowed_down() {
    let service = Service::start_with(|setup| setup.var("TRUSTED_PROXIES", 1)).await.sign_in().await;
    let media = upload(&service, 10).await;
    let with_password = json!({ "items": [media["id"]], "password": PASSWORD });
    let (one, other) = (share(&service, with_password.clone()).await, share(&service, with_password).await);
    let (one, other) = (text(&one["token"]), text(&other["token"]));
    let open = async |token: &str, password: &str, address: &str| {
        let url = format!("http://{}/api/shared/{token}/session", service.process.address);
        let request = CLIENT.post(url).header("x-forwarded-for", address).json(&json!({ "password": password }));
        request.send().await.unwrap()
    };
    let get = async |token: &str, bearer: &str| {
        let path = format!("/api/shared/{token}");
        let (status, body) = call(&service, bearer, Method::GET, &path, Value::Null).await;
        (status.as_u16(), body["error"]["code"].clone())
    };
    let closed = (401, json!("password_required"));
    assert_eq!(get(one, "x").await, closed);
    assert_eq!(get(one, &service.token).await, closed, "an account is not a guest");

    let opened = open(one, PASSWORD, "192.0.2.1").await;
    let header = |name: &str| opened.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store".into(), "no-referrer".into()));
    let (status, session) = json_of(opened).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let bearer = text(&session["token"]);
    assert_eq!(get(one, bearer).await, (200, Value::Null));
    assert_eq!(get(other, bearer).await, closed, "it opens no other share");

    let empty = share(&service, json!({ "items": [media["id"]] })).await;
    let (status, answer) = json_of(open(text(&empty["token"]), PASSWORD, "192.0.2.1").await).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("no_password")));
    for body in [json!({}), json!({ "password": 1 }), json!({ "password": "x", "more": 1 })] {
        let path = format!("/api/shared/{one}/session");
        let (status, answer) = post(&service, &path, body).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_json")));
    }

    for _ in 0..10 {
        let (status, answer) = json_of(open(one, "a wrong password", "192.0.2.1").await).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::FORBIDDEN, &json!("wrong_password")));
    }
    let slowed = open(one, PASSWORD, "192.0.2.1").await;
    let seconds: u64 = slowed.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let (status, answer) = json_of(slowed).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_attempts")));
    assert!((1..=31).contains(&seconds), "{seconds}");
    assert_eq!(open(one, PASSWORD, "192.0.2.2").await.status(), StatusCode::OK, "another guest");
    assert_eq!(open(other, PASSWORD, "192.0.2.1").await.status(), StatusCode::OK, "another share");
    assert_eq!(get(one, bearer).await.0, 200, "who has opened it is not slowed down");

    sqlx::query("DELETE FROM share").execute(&service.pool).await.unwrap();
    assert_eq!(get(one, bearer).await.0, 404, "revoked");
}

#[tokio::test]
async fn a_share_is_its_makers_and_admins_manage_all() {
    let service = Service::signed_in().await;
    let media = upload(&service, 10).await;
    let (_, invite) = post(&service, "/api/invites", json!({})).await;
    let body = json!({ "username": "ada", "password": PASSWORD, "invite": invite["token"] });
    let (_, ada) = post(&service, "/api/auth/register", body).await;
    let ada = text(&ada["token"]);
    // All see all media, so all may share them.
    let body = json!({ "items": [media["id"]], "title": "of ada" });
    let (status, of_ada) = call(&service, ada, Method::POST, "/api/shares", body).await;
    assert_eq!((status, &of_ada["created_by"]), (StatusCode::CREATED, &json!("ada")), "{of_ada}");
    let of_admin = share(&service, json!({ "items": [media["id"]], "title": "of the admin" })).await;

    let titles = async |token: &str| {
        let (_, shares) = call(&service, token, Method::GET, "/api/shares", Value::Null).await;
        assert!(!shares.to_string().contains("token"), "{shares}");
        let items = shares["items"].as_array().unwrap();
        items.iter().map(|share| text(&share["title"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles(ada).await, ["of ada"]);
    assert_eq!(titles(&service.token).await, ["of the admin", "of ada"]);
    let path = |share: &Value| format!("/api/shares/{}", text(&share["id"]));
    let (status, _) = call(&service, ada, Method::DELETE, &path(&of_admin), Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = call(&service, &service.token, Method::DELETE, &path(&of_ada), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(guest(&service, text(&of_ada["token"])).await.status(), StatusCode::NOT_FOUND);
    for id in ["x", "00000000-0000-0000-0000-000000000000", "%00"] {
        let (status, _) = call(&service, ada, Method::DELETE, &format!("/api/shares/{id}"), Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
    }

    let many = "INSERT INTO share (account, title, token_sha256)
                SELECT id, '', sha256(number::text::bytea) FROM account, generate_series(1, 1000) AS number
                WHERE username = 'ada'";
    sqlx::query(many).execute(&service.pool).await.unwrap();
    let (status, answer) = call(&service, ada, Method::POST, "/api/shares", json!({ "items": [media["id"]] })).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::CONFLICT, &json!("too_many_shares")));
    assert_eq!(share(&service, json!({ "items": [media["id"]] })).await["items"], 1, "others are not concerned");
}

#[tokio::test]
async fn what_cannot_be_shared_is_refused_with_its_reason() {
    let service = Service::signed_in().await;
    let (kept, trashed) = (upload(&service, 10).await["id"].clone(), upload(&service, 11).await["id"].clone());
    service.delete(text(&trashed)).await;
    let no_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let in_a_year = |days: i64| {
        let at = time::OffsetDateTime::now_utc() + time::Duration::days(days);
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    for (body, code) in [
        (json!({ "items": [] }), "invalid_items"),
        (json!({ "items": ["x"] }), "invalid_items"),
        (json!({ "items": [kept, "\0"] }), "invalid_items"),
        (json!({ "items": [kept, text(&kept).to_lowercase()] }), "invalid_items"),
        (json!({ "items": [kept, no_id] }), "invalid_items"),
        (json!({ "items": [kept, trashed] }), "invalid_items"),
        (json!({ "items": vec![&kept; 1001] }), "invalid_items"),
        (json!({ "items": [kept], "title": "x".repeat(201) }), "invalid_title"),
        (json!({ "items": [kept], "title": "a\0b" }), "invalid_title"),
        (json!({ "items": [kept], "title": "a\nb" }), "invalid_title"),
        (json!({ "items": [kept], "expires_at": "tomorrow" }), "invalid_expiry"),
        (json!({ "items": [kept], "expires_at": "2026-01-31" }), "invalid_expiry"),
        (json!({ "items": [kept], "expires_at": in_a_year(-1) }), "invalid_expiry"),
        (json!({ "items": [kept], "expires_at": in_a_year(367) }), "invalid_expiry"),
        (json!({ "items": [kept], "password": "short" }), "weak_password"),
        (json!({ "items": [kept], "password": "" }), "weak_password"),
        (json!({ "items": [kept], "password": "x".repeat(257) }), "weak_password"),
        (json!({ "items": kept }), "bad_json"),
        (json!({ "items": [1] }), "bad_json"),
        (json!({ "items": [null] }), "bad_json"),
        (json!({ "items": [kept], "title": 1 }), "bad_json"),
        (json!({ "items": [kept], "expires_at": 1 }), "bad_json"),
        (json!({ "items": [kept], "expiry": in_a_year(1) }), "bad_json"),
        (json!({}), "bad_json"),
        (json!([]), "bad_json"),
    ] {
        let (status, answer) = post(&service, "/api/shares", body.clone()).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{body}");
    }
    let (status, answer) = post(&service, "/api/shares", json!({ "items": vec![&kept; 10_000] })).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
    let (shares, items): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM share), (SELECT count(*) FROM share_item)")
            .fetch_one(&service.pool)
            .await
            .unwrap();
    assert_eq!((shares, items), (0, 0), "nothing of them is left");
    assert_eq!(share(&service, json!({ "items": vec![&kept; 1000] })).await["items"], 1);
}

#[tokio::test]
async fn the_log_has_no_token_of_a_share() {
    let service = Service::start_with(|setup| setup.var("LOG_LEVEL", "trace")).await.sign_in().await;
    let media = upload(&service, 10).await;
    let share = share(&service, json!({ "items": [media["id"]], "password": PASSWORD })).await;
    let token = text(&share["token"]);
    let (status, session) =
        post(&service, &format!("/api/shared/{token}/session"), json!({ "password": PASSWORD })).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let bearer = text(&session["token"]);
    let (status, _) = call(&service, bearer, Method::GET, &format!("/api/shared/{token}"), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    for wrong in [format!("/{token}"), format!("/api/shared/{}", &token[1..]), format!("/api/share/{token}/x")] {
        assert_eq!(service.get(&wrong).await.status(), StatusCode::NOT_FOUND);
    }
    let log = service.process.log().join("\n");
    assert!(log.contains("\"path\":\"/api/shared/[token]/session\""), "{log}");
    for secret in [token, &token[1..], bearer.rsplit_once('.').unwrap().1, PASSWORD] {
        assert!(!log.contains(secret), "the log contains {secret}");
    }
}
