use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::remote::registry::testing::standin::{Request, Response, StandIn};

/// The key that the stand-in takes.
pub const KEY: &str = "sentinel-scaleway-key";

/// A stand-in for Scaleway's API that keeps the tags of one image, `space/app`, and is asked for a region `fr-par`.
pub struct Api {
    pub server: StandIn,
    tags: Arc<Mutex<Vec<Tag>>>,
}

impl Api {
    pub fn start(tags: Vec<(&str, &str)>) -> Self {
        let tag = |(number, (name, digest)): (usize, (&str, &str))| Tag {
            id: format!("tag-{number}"),
            name: name.to_owned(),
            digest: digest.to_owned(),
        };
        let tags = Arc::new(Mutex::new(tags.into_iter().enumerate().map(tag).collect::<Vec<_>>()));
        let kept = Arc::clone(&tags);
        Self { server: StandIn::start(move |request| answer(&mut kept.lock().unwrap(), request)), tags }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Names of the tags that are there.
    pub fn names(&self) -> Vec<String> {
        self.tags.lock().unwrap().iter().map(|tag| tag.name.clone()).collect()
    }
}

fn answer(tags: &mut Vec<Tag>, request: &Request) -> Response {
    if request.header("x-auth-token") != Some(KEY) {
        return Response::new(403).body("application/json", r#"{"type":"denied_authentication"}"#);
    }
    let path = request.path.strip_prefix("/registry/v1/regions/fr-par/").unwrap();
    let number = |name: &str| request.query(name).unwrap().parse::<usize>().unwrap();
    let json = |body: serde_json::Value| Response::new(200).body("application/json", body.to_string());
    match (request.method.as_str(), path.split('?').next().unwrap()) {
        ("GET", "namespaces") => json(json!({"namespaces": [
            {"id": "n-0", "name": "space-of-another"}, {"id": "n-1", "name": "space"},
        ], "total_count": 2})),
        ("GET", "images") if request.query("namespace_id") == Some("n-1") => {
            json(json!({"images": [{"id": "i-1", "name": "app"}], "total_count": 1}))
        }
        ("GET", "images/i-1/tags") => {
            let (page, size) = (number("page"), number("page_size"));
            let page: Vec<_> = tags
                .iter()
                .skip((page - 1) * size)
                .take(size)
                .map(|tag| json!({"id": tag.id, "name": tag.name, "digest": tag.digest, "status": "ready"}))
                .collect();
            json(json!({"tags": page, "total_count": tags.len()}))
        }
        ("DELETE", path) => {
            let id = path.strip_prefix("tags/").unwrap();
            let before = tags.len();
            tags.retain(|tag| tag.id != id);
            if tags.len() < before { json(json!({"id": id, "status": "deleting"})) } else { Response::new(404) }
        }
        other => panic!("{other:?}"),
    }
}

fn registries(api: &Api, key: &str) -> Registries {
    drop(rustls::crypto::ring::default_provider().install_default());
    Registries::new(&api.url(), "fr-par", &key.into()).unwrap()
}

#[tokio::test]
async fn tags_are_listed_page_by_page_and_deleted_one_by_one() {
    let names: Vec<String> = (0..250).map(|number| format!("t{number}")).collect();
    let api = Api::start(names.iter().map(|name| (name.as_str(), "sha256:a")).collect());
    let registries = registries(&api, KEY);
    let tags = registries.tags("space", "app").await.unwrap();
    assert_eq!(tags.len(), 250);
    registries.delete(&tags[249]).await.unwrap();
    assert_eq!(api.names(), names[..249]);
    assert!(registries.delete(&tags[249]).await.unwrap_err().to_string().contains("t249"));
}

#[tokio::test]
async fn what_is_not_there_and_a_wrong_key_are_told() {
    let api = Api::start(Vec::new());
    let error = registries(&api, KEY).tags("spac", "app").await.unwrap_err().to_string();
    assert!(error.contains("namespace spac"), "{error}");
    let error = registries(&api, KEY).tags("space", "ap").await.unwrap_err().to_string();
    assert!(error.contains("image ap"), "{error}");
    let error = registries(&api, "not-the-key").tags("space", "app").await.unwrap_err().to_string();
    assert!(error.contains("403") && !error.contains("not-the-key"), "{error}");
}

#[test]
fn the_key_is_not_sent_without_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
    for api in ["http://api.example.org", "nonsense"] {
        assert!(Registries::new(api, "fr-par", &KEY.into()).is_err(), "{api}");
    }
}
