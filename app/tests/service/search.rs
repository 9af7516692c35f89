//! Finding media: words, stems, near misses, filters, facets, paging.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{Service, eventually},
};

/// Uploads a picture of its own with a name, and sets what the rest of the row has.
async fn add(service: &Service, side: u32, name: &str, tags: &[&str], text: &str) -> String {
    let (status, media) = service.upload(&pictures::png(side, 8), name, "image/png").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    let id = media["id"].as_str().unwrap().to_owned();
    let changed = service.change(&id, &json!({ "tags": tags })).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let written = sqlx::query("UPDATE media SET ocr_text = $2 WHERE id = $1").bind(&id).bind(text);
    assert_eq!(written.execute(&service.pool).await.unwrap().rows_affected(), 1);
    id
}

async fn names(service: &Service, query: &str) -> Vec<String> {
    let page = service.json(&format!("/api/media?{query}")).await;
    page["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{query}: {page}"))
        .iter()
        .map(|item| text(&item["name"]))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn words_are_found_by_their_beginning_by_their_stem_and_nearly() {
    let service = Service::signed_in().await;
    add(&service, 10, "IMG_2041.sauna-ilta.png", &["Kesä", "Kuhmo"], "").await;
    add(&service, 12, "receipt.png", &[], "Two hammers and running shoes, 84 €").await;
    add(&service, 14, "kuitti.png", &[], "Ruokaa ja hiekkaa talossa").await;
    for (question, found) in [
        ("saun", vec!["IMG_2041.sauna-ilta.png"]),
        ("2041", vec!["IMG_2041.sauna-ilta.png"]),
        ("KES%C3%84", vec!["IMG_2041.sauna-ilta.png"]),
        // The same in decomposed form, as macOS writes names.
        ("kesa%CC%88", vec!["IMG_2041.sauna-ilta.png"]),
        ("kuhmo+ilta", vec!["IMG_2041.sauna-ilta.png"]),
        ("kuhmo+hammer", vec![]),
        // Only the last word may not be typed to its end.
        ("kuhmo+ilt", vec!["IMG_2041.sauna-ilta.png"]),
        ("hammer", vec!["receipt.png"]),
        ("runs", vec!["receipt.png"]),
        ("taloja", vec!["kuitti.png"]),
        ("ruoka", vec!["kuitti.png"]),
        ("%25_%5C%27%29%3A*", vec![]),
        ("%E2%80%AE", vec![]),
        ("png", vec!["kuitti.png", "receipt.png", "IMG_2041.sauna-ilta.png"]),
    ] {
        assert_eq!(names(&service, &format!("q={question}")).await, found, "{question}");
    }
    let page = service.json("/api/media?q=hammers").await;
    assert_eq!(page["nearly"], false);
    let fragment = page["items"][0]["fragment"].as_array().unwrap();
    let matched: Vec<_> =
        fragment.iter().filter(|segment| segment["is_match"] == true).map(|s| text(&s["text"])).collect();
    assert_eq!(matched, ["hammers"], "{fragment:?}");

    // The beginnings of the words before it count as near misses, in a text, too.
    let begun = service.json("/api/media?q=hamm+sho").await;
    assert_eq!((&begun["nearly"], &begun["items"][0]["name"]), (&json!(true), &json!("receipt.png")));
    let begun = service.json("/api/media?q=saun+ilta").await;
    assert_eq!((&begun["nearly"], &begun["items"][0]["name"]), (&json!(true), &json!("IMG_2041.sauna-ilta.png")));

    let nearly = service.json("/api/media?q=reciept").await;
    assert_eq!((&nearly["nearly"], &nearly["items"][0]["name"]), (&json!(true), &json!("receipt.png")));
    assert_eq!(names(&service, "q=xylophone").await, Vec::<String>::new());

    let long = service.get(&format!("/api/media?q={}", "ä".repeat(1_000))).await;
    assert_eq!(long.status(), StatusCode::OK);
    let nul = service.get("/api/media?uploader=a%00b").await;
    assert_eq!(nul.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn filters_narrow_and_facets_count() {
    let service = Service::signed_in().await;
    for (side, name, tags) in [(10, "a.png", vec!["x", "y"]), (12, "b.png", vec!["x"]), (14, "c.png", vec![])] {
        add(&service, side, name, &tags, "").await;
    }
    for (query, found) in [
        ("tag=x", vec!["b.png", "a.png"]),
        ("tag=x,y", vec!["a.png"]),
        ("tag=z", vec![]),
        ("type=image", vec!["c.png", "b.png", "a.png"]),
        ("type=video", vec![]),
        ("uploader=FIRST", vec!["c.png", "b.png", "a.png"]),
        ("uploader=other", vec![]),
        ("from=2020-01-01T00:00:00Z&q=b", vec!["b.png"]),
        ("to=2020-01-01T00:00:00Z", vec![]),
    ] {
        assert_eq!(names(&service, query).await, found, "{query}");
    }
    for bad in ["type=x", "from=yesterday", "to=9999-12-31T23:59:59-23:59"] {
        let response = service.get(&format!("/api/media?{bad}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "bad_filter");
    }
    assert_eq!(
        service.json("/api/media/facets").await,
        json!({
            "types": [{ "value": "image", "count": 3 }],
            "tags": [{ "value": "x", "count": 2 }, { "value": "y", "count": 1 }],
            "uploaders": [{ "value": "first", "count": 3 }],
        })
    );
    assert_eq!(service.json("/api/media/facets?tag=y").await["tags"][0]["count"], 1);
}

#[tokio::test]
async fn of_ten_thousand_tags_those_with_a_text_are_found() {
    let service = Service::signed_in().await;
    for (side, tags) in [(10, vec!["Järvi", "kesäjärvi", "other"]), (12, vec!["kesäjärvi"])] {
        add(&service, side, "a.png", &tags, "").await;
    }
    let (status, trashed) = service.upload(&pictures::png(16, 16), "b.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED);
    let id = trashed["id"].as_str().unwrap();
    service.change(id, &json!({ "tags": ["järvi in the trash"] })).await;
    service.delete(id).await;
    // More than a media may have by the API.
    sqlx::query("UPDATE media SET tags = tags || array(SELECT 'tag ' || i FROM generate_series(1, 10000) AS i) WHERE deleted_at IS NULL")
        .execute(&service.pool)
        .await
        .unwrap();
    let tags = async |query: &str| {
        let found = service.json(&format!("/api/media/tags?q={query}")).await;
        let items = found["items"].as_array().unwrap().iter();
        items.map(|item| format!("{} {}", item["value"].as_str().unwrap(), item["count"])).collect::<Vec<_>>()
    };
    assert_eq!(tags("J%C3%84RVI").await, ["Järvi 1", "kesäjärvi 2"]);
    assert_eq!(tags("tag%209999").await, ["tag 9999 2"]);
    assert_eq!((tags("").await.len(), tags("tag").await.len(), tags("%25").await.len()), (50, 50, 0));
    for bad in ["q=%00", "q=a&q=b"] {
        assert_eq!(service.get(&format!("/api/media/tags?{bad}")).await.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn tags_are_counted_whatever_becomes_of_their_media() {
    let service = Service::signed_in().await;
    let mut ids = Vec::new();
    for side in 10..16 {
        ids.push(add(&service, side, "a.png", &["all"], "").await);
    }
    let bulk = async |ids: &[String], action: &str, tags: &[&str]| {
        let mut body = json!({ "ids": ids, "action": action });
        if !tags.is_empty() {
            body["tags"] = json!(tags);
        }
        let done = service.request(Method::POST, "/api/media/bulk").json(&body).send().await.unwrap();
        assert_eq!(done.status(), StatusCode::OK);
    };
    // Side by side, each with the tags in another order.
    let (one, other) = (["x", "y", "z"], ["z", "y", "x"]);
    let tagged = (0..6).map(|place| bulk(&ids[place..=place], "tag", if place % 2 == 0 { &one } else { &other }));
    futures_util::future::join_all(tagged).await;
    bulk(&ids[..2], "untag", &["x"]).await;
    bulk(&ids[1..4], "delete", &[]).await;
    bulk(&ids[1..2], "restore", &[]).await;
    service.delete(&ids[2]).await;
    service.change(&ids[5], &json!({ "tags": ["all", "y"] })).await;
    let counted: Vec<(String, i64)> =
        sqlx::query_as("SELECT value, media FROM tag ORDER BY value").fetch_all(&service.pool).await.unwrap();
    assert_eq!(counted, [("all", 4), ("x", 1), ("y", 4), ("z", 3)].map(|(tag, count)| (tag.to_owned(), count)));
    bulk(&ids, "delete", &[]).await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM tag").fetch_one(&service.pool).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_ended_while_media_comes_and_goes() {
    let service = Service::signed_in().await;
    let mut added = Vec::new();
    for number in 0..6 {
        added.push(add(&service, 10 + number, &format!("{number}.png"), &[], "").await);
    }
    let first = service.json("/api/media?limit=2").await;
    assert_eq!(
        service.request(Method::DELETE, &format!("/api/media/{}", added[3])).send().await.unwrap().status(),
        204
    );
    add(&service, 20, "new.png", &[], "").await;
    let next = text(&first["next"]);
    assert_eq!(names(&service, &format!("limit=3&before={next}")).await, ["2.png", "1.png", "0.png"]);
    eventually("nothing is left of the deleted one in the list", async || {
        names(&service, "limit=100").await.len() == 6
    })
    .await;
}

#[tokio::test]
async fn a_page_leads_to_the_one_before_and_skips_what_it_is_told_to() {
    let service = Service::signed_in().await;
    for number in 0..6 {
        add(&service, 10 + number, &format!("{number}.png"), &[], "").await;
    }
    let all = service.json("/api/media?limit=100").await;
    assert_eq!((&all["previous"], &all["next"]), (&Value::Null, &Value::Null));
    assert_eq!(names(&service, "skip=4").await, ["1.png", "0.png"]);
    let middle = service.json("/api/media?limit=2&skip=3").await;
    let (next, previous) = (text(&middle["next"]), text(&middle["previous"]));
    assert_eq!(names(&service, &format!("limit=2&before={next}")).await, ["0.png"]);
    assert_eq!(names(&service, &format!("limit=2&before={previous}&skip=1")).await, ["0.png"]);
    let newer = service.json(&format!("/api/media?limit=2&after={previous}")).await;
    assert_eq!((text(&newer["items"][0]["name"]), text(&newer["items"][1]["name"])), ("4.png".into(), "3.png".into()));
    assert_eq!(names(&service, &format!("limit=2&before={}", text(&newer["next"]))).await, ["2.png", "1.png"]);
    let newest = service.json(&format!("/api/media?limit=2&after={}", text(&newer["previous"]))).await;
    assert_eq!((text(&newest["items"][0]["name"]), &newest["previous"]), ("5.png".into(), &Value::Null));
    assert_eq!(names(&service, &format!("limit=2&after={previous}&before={next}&skip=5")).await, ["4.png", "3.png"]);
    // A search goes backwards, too.
    let found = service.json(&format!("/api/media?q=png&limit=1&after={previous}")).await;
    assert_eq!(text(&found["items"][0]["name"]), "3.png");
    for bad in ["after=x", "before=x", "skip=-1", "skip=10000001", "skip=x"] {
        let response = service.get(&format!("/api/media?{bad}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "bad_paging", "{bad}");
    }
}

#[tokio::test]
async fn a_timeline_counts_by_month_and_leads_to_each() {
    let service = Service::signed_in().await;
    // The last hour of January is February in Helsinki.
    for (side, name, listed_at) in [
        (10, "a.png", "2026-03-09T12:00:00Z"),
        (12, "b.png", "2026-01-31T22:30:00Z"),
        (14, "c.png", "2026-01-31T21:30:00Z"),
        (16, "d.png", "2025-12-01T00:00:00Z"),
    ] {
        let id = add(&service, side, name, if side == 14 { &[] } else { &["x"] }, "").await;
        let moved =
            sqlx::query("UPDATE media SET listed_at = $2::text::timestamptz WHERE id = $1").bind(id).bind(listed_at);
        moved.execute(&service.pool).await.unwrap();
    }
    let months = async |query: &str| -> Vec<(String, i64, String)> {
        let timeline = service.json(&format!("/api/media/timeline?{query}")).await;
        let months = timeline["months"].as_array().unwrap().iter();
        months.map(|of| (text(&of["month"]), of["count"].as_i64().unwrap(), text(&of["before"]))).collect()
    };
    let counts = async |query: &str| -> Vec<(String, i64)> {
        months(query).await.into_iter().map(|(month, count, _)| (month, count)).collect()
    };
    let expected =
        |counts: &[(&str, i64)]| counts.iter().map(|(month, count)| ((*month).to_owned(), *count)).collect::<Vec<_>>();
    assert_eq!(counts("").await, expected(&[("2026-03", 1), ("2026-01", 2), ("2025-12", 1)]));
    let local = expected(&[("2026-03", 1), ("2026-02", 1), ("2026-01", 1), ("2025-12", 1)]);
    assert_eq!(counts("zone=Europe/Helsinki").await, local);
    assert_eq!(counts("tag=x&to=2026-03-01T00:00:00Z").await, expected(&[("2026-01", 1), ("2025-12", 1)]));
    assert_eq!(counts("q=c").await, expected(&[("2026-01", 1)]));
    assert_eq!(counts("trash=true").await, []);
    assert_eq!(counts("q=%25").await, []);
    for ((_, _, before), first) in months("zone=Europe/Helsinki").await.iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(names(&service, &format!("limit=1&before={before}")).await, [format!("{first}.png")]);
    }
    for bad in ["zone=Europe/Atlantis", "zone=", "zone=%00", "zone=a'b", "zone=A%2B99999999", "type=x", "trash=x"] {
        let response = service.get(&format!("/api/media/timeline?{bad}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "bad_filter", "{bad}");
    }
}

/// With many rows, each list and each search takes an index.
#[tokio::test]
async fn no_list_and_no_search_reads_the_whole_table() {
    let service = Service::signed_in().await;
    sqlx::raw_sql(
        "INSERT INTO media (id, status, name, tags, mime_type, size, width, height, sha256, uploader, listed_at)
         SELECT '01ARZ3NDEKTSV4RRFFQ6' || lpad(n::text, 6, '0'), 'ready', 'IMG_' || n || '.jpg', ARRAY['t' || n % 500], 'image/jpeg', 1, 2, 2,
                sha256(n::text::bytea), account.id, now() - make_interval(secs => n)
         FROM generate_series(1, 20000) AS n, account;
         ANALYZE media;",
    )
    .execute(&service.pool)
    .await
    .unwrap();
    for (what, condition) in [
        ("words", "words @@ media_query(ARRAY['19999'])"),
        ("near names", "'img 19998' <% media_label(name, tags)"),
        ("tags", "tags @> ARRAY['t7']"),
        ("the first page", "deleted_at IS NULL"),
        (
            "a later page",
            "deleted_at IS NULL AND (listed_at, id) < (now() - interval '1 hour', '01ARZ3NDEKTSV4RRFFQ6000001')",
        ),
        (
            "a page before another",
            "deleted_at IS NULL AND (listed_at, id) > (now() - interval '1 hour', '01ARZ3NDEKTSV4RRFFQ6000001')",
        ),
    ] {
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "EXPLAIN SELECT id FROM media WHERE {condition} ORDER BY listed_at DESC, id DESC LIMIT 50"
        )))
        .fetch_all(&service.pool)
        .await
        .unwrap();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan on media"), "{what}:\n{plan}");
    }
    let tags = service.json("/api/media/tags?q=t49").await["items"].clone();
    assert_eq!((tags.as_array().unwrap().len(), &tags[0]), (11, &json!({ "value": "t49", "count": 40 })));
    assert_eq!(names(&service, "q=img_19999").await, ["IMG_19999.jpg"]);
    assert_eq!(names(&service, "tag=t7&limit=100").await.len(), 40);
    assert_eq!(names(&service, "limit=1&skip=18999").await, ["IMG_19000.jpg"]);
}

/// Of a million jobs and many tags, what people wait for looks at few rows or at an index.
#[tokio::test]
async fn jobs_are_counted_and_tags_completed_by_an_index() {
    let service = Service::start_with(|setup| setup.var("EMBEDDED_WORKER", "off")).await.sign_in().await;
    sqlx::raw_sql(
        "INSERT INTO media (id, status, name, tags, mime_type, size, width, height, sha256, uploader, listed_at)
         SELECT '01ARZ3NDEKTSV4RRFFQ6' || lpad(n::text, 6, '0'), 'ready', 'a', ARRAY['tag ' || n], 'image/jpeg', 1, 2, 2,
                sha256(n::text::bytea), account.id, now() - make_interval(secs => n)
         FROM generate_series(1, 20000) AS n, account;
         INSERT INTO job (media, kind, due_at, quarantined)
         SELECT id, 'ocr', now() + CASE WHEN right(id, 2) = '77' THEN interval '1 day' ELSE '-1 hour' END, right(id, 2) = '99'
         FROM media;",
    )
    .execute(&service.pool)
    .await
    .unwrap();
    sqlx::raw_sql("VACUUM ANALYZE job, tag").execute(&service.pool).await.unwrap();
    for (what, query, index) in [
        (
            "due jobs",
            "SELECT kind, count(*), min(due_at) FROM job
             WHERE kind = ANY ('{process,ocr}') AND NOT quarantined AND due_at <= now() GROUP BY 1",
            "job_due",
        ),
        (
            "other jobs",
            "SELECT kind, claim IS NOT NULL, count(*), min(due_at) FROM job
             WHERE kind = ANY ('{process,ocr}') AND NOT quarantined AND due_at > now() GROUP BY 1, 2",
            "job_due",
        ),
        (
            "quarantined jobs",
            "SELECT kind, count(*), min(due_at) FROM job WHERE quarantined GROUP BY 1",
            "job_quarantined",
        ),
        (
            "tags",
            "SELECT value, media FROM tag WHERE lower(value) LIKE '%g 1999%' ORDER BY 2 DESC, 1 LIMIT 50",
            "tag_value",
        ),
    ] {
        let mut asked = service.pool.begin().await.unwrap();
        // To read all of so few rows may be as fast.
        sqlx::raw_sql("SET LOCAL enable_seqscan = off").execute(&mut *asked).await.unwrap();
        let plan: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("EXPLAIN {query}"))).fetch_all(&mut *asked).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{what}:\n{plan}");
    }
}
