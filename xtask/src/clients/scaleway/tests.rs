use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use devservers::http::{HttpServer, Request, Response};

/// The key that the stand-in accepts.
pub const KEY: &str = "sentinel-scaleway-key";

/// The project of the namespaces that exist at the start.
pub const PROJECT: &str = "00000000-0000-0000-0000-000000000001";

/// A stand-in for Scaleway's API in the region `fr-par`. It has namespaces and the tags of one image, `space/app`. Another
/// account has the namespace `taken`.
pub struct Api {
    pub server: HttpServer,
    kept: Arc<Mutex<Kept>>,
}

struct Kept {
    tags: Vec<Tag>,
    namespaces: Vec<Namespace>,
}

impl Api {
    pub fn start(tags: Vec<(&str, &str)>) -> Self {
        let tag = |(number, (name, digest)): (usize, (&str, &str))| Tag {
            id: format!("tag-{number}"),
            name: name.to_owned(),
            digest: digest.to_owned(),
        };
        let tags = tags.into_iter().enumerate().map(tag).collect();
        let namespaces = vec![namespace("n-0", "space-of-another"), namespace("n-1", "space")];
        let kept = Arc::new(Mutex::new(Kept { tags, namespaces }));
        let answered = Arc::clone(&kept);
        Self { server: HttpServer::start(move |request| answer(&mut answered.lock().unwrap(), request)), kept }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The names of all tags.
    pub fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().tags.iter().map(|tag| tag.name.clone()).collect()
    }

    /// The namespace with this name.
    pub fn namespace(&self, name: &str) -> Option<Namespace> {
        self.kept.lock().unwrap().namespaces.iter().find(|namespace| namespace.name == name).cloned()
    }

    /// Changes a namespace, as a user does in the console.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Namespace)) {
        let mut kept = self.kept.lock().unwrap();
        change(kept.namespaces.iter_mut().find(|namespace| namespace.name == name).unwrap());
    }

    /// The requests that changed something.
    pub fn changes(&self) -> Vec<String> {
        let asked = self.server.asked().into_iter().filter(|request| request.method != "GET");
        asked.map(|request| format!("{} {}", request.method, String::from_utf8_lossy(&request.body))).collect()
    }
}

fn namespace(id: &str, name: &str) -> Namespace {
    Namespace {
        id: id.to_owned(),
        name: name.to_owned(),
        is_public: false,
        status: "ready".to_owned(),
        project_id: PROJECT.to_owned(),
    }
}

fn shown(namespace: &Namespace) -> serde_json::Value {
    let Namespace { id, name, is_public, status, project_id } = namespace;
    json!({"id": id, "name": name, "is_public": is_public, "status": status, "project_id": project_id, "region": "fr-par"})
}

fn answer(kept: &mut Kept, request: &Request) -> Response {
    if request.header("x-auth-token") != Some(KEY) {
        let said = r#"{"message":"authentication is denied","method":"api_key","reason":"not_found","type":"denied_authentication"}"#;
        return Response::new(401).body("application/json", said);
    }
    let path = request.path.strip_prefix("/registry/v1/regions/fr-par/").unwrap();
    let number = |name: &str| request.query(name).unwrap().parse::<usize>().unwrap();
    let json = |body: serde_json::Value| Response::new(200).body("application/json", body.to_string());
    let body = || serde_json::from_slice::<serde_json::Value>(&request.body).unwrap();
    match (request.method.as_str(), path.split('?').next().unwrap()) {
        ("GET", "namespaces") => {
            let all: Vec<_> = kept.namespaces.iter().map(shown).collect();
            json(json!({"total_count": all.len(), "namespaces": all}))
        }
        ("POST", "namespaces") => {
            let body = body();
            let name = body["name"].as_str().unwrap();
            if name == "taken" || kept.namespaces.iter().any(|namespace| namespace.name == name) {
                return Response::new(409)
                    .body("application/json", r#"{"message":"Namespace already exists","type":"conflict"}"#);
            }
            let mut made = namespace(&format!("n-{}", kept.namespaces.len()), name);
            made.project_id = body["project_id"].as_str().unwrap().to_owned();
            made.is_public = body["is_public"].as_bool().unwrap();
            kept.namespaces.push(made.clone());
            json(shown(&made))
        }
        ("PATCH", path) => {
            let id = path.strip_prefix("namespaces/").unwrap();
            let Some(changed) = kept.namespaces.iter_mut().find(|namespace| namespace.id == id) else {
                return Response::new(404);
            };
            changed.is_public = body()["is_public"].as_bool().unwrap();
            json(shown(changed))
        }
        ("GET", "images") if request.query("namespace_id") == Some("n-1") => {
            json(json!({"images": [{"id": "i-1", "name": "app"}], "total_count": 1}))
        }
        ("GET", "images/i-1/tags") => {
            let (page, size) = (number("page"), number("page_size"));
            let page: Vec<_> = kept
                .tags
                .iter()
                .skip((page - 1) * size)
                .take(size)
                .map(|tag| json!({"id": tag.id, "name": tag.name, "digest": tag.digest, "status": "ready"}))
                .collect();
            json(json!({"tags": page, "total_count": kept.tags.len()}))
        }
        ("DELETE", path) => {
            let id = path.strip_prefix("tags/").unwrap();
            let before = kept.tags.len();
            kept.tags.retain(|tag| tag.id != id);
            if kept.tags.len() < before { json(json!({"id": id, "status": "deleting"})) } else { Response::new(404) }
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
async fn missing_images_and_a_wrong_key_are_errors() {
    let api = Api::start(Vec::new());
    let error = registries(&api, KEY).tags("spac", "app").await.unwrap_err().to_string();
    assert!(error.contains("namespace spac"), "{error}");
    let error = registries(&api, KEY).tags("space", "ap").await.unwrap_err().to_string();
    assert!(error.contains("image ap"), "{error}");
    let error = registries(&api, "not-the-key").tags("space", "app").await.unwrap_err().to_string();
    assert!(error.contains("401") && error.contains("authentication is denied"), "{error}");
    assert!(error.contains("SCW_SECRET_KEY") && !error.contains("not-the-key"), "{error}");
}

#[tokio::test]
async fn a_namespace_is_created_private_and_once() {
    let api = Api::start(Vec::new());
    let registries = registries(&api, KEY);
    assert_eq!(registries.namespace("shop").await.unwrap(), None);
    let made = registries.create_namespace("shop", PROJECT).await.unwrap().unwrap();
    assert_eq!((made.is_public, made.project_id.as_str()), (false, PROJECT));
    assert_eq!(registries.namespace("shop").await.unwrap(), Some(made));
    assert_eq!(registries.create_namespace("taken", PROJECT).await.unwrap(), None);
    api.change("shop", |namespace| namespace.is_public = true);
    registries.close_namespace(&api.namespace("shop").unwrap()).await.unwrap();
    assert!(!api.namespace("shop").unwrap().is_public);
    assert!(super::Registries::new(&api.url(), "fr-par", &"not-the-key".into()).unwrap().check().await.is_err());
    registries.check().await.unwrap();
}

#[test]
fn the_key_is_not_sent_without_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
    for api in ["http://api.example.org", "nonsense"] {
        assert!(Registries::new(api, "fr-par", &KEY.into()).is_err(), "{api}");
    }
}

#[tokio::test]
async fn the_status_of_a_custom_domain_is_read() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let server = HttpServer::start(|request| match request.path.as_str() {
        _ if request.header("x-auth-token") != Some(KEY) => Response::new(403),
        "/containers/v1/regions/fr-par/domains/d-1" => Response::new(200).body(
            "application/json",
            json!({"id": "d-1", "hostname": "a.example.org", "status": "error", "error_message": "no CNAME"})
                .to_string(),
        ),
        "/containers/v1/regions/fr-par/domains/d-2" => Response::new(200)
            .body("application/json", json!({"hostname": "b.example.org", "status": "ready"}).to_string()),
        _ => Response::new(404),
    });
    let url = format!("http://{}", server.address);
    let containers = Containers::new(&url, "fr-par", &KEY.into()).unwrap();
    let domain = containers.domain("d-1").await.unwrap().unwrap();
    assert_eq!((domain.status.as_str(), domain.error_message.as_deref()), ("error", Some("no CNAME")));
    assert_eq!(containers.domain("d-2").await.unwrap().unwrap().status, "ready");
    assert_eq!(containers.domain("d-3").await.unwrap(), None);
    assert!(containers.domain("../namespaces").await.unwrap_err().to_string().contains("not an id"));
    let other = Containers::new(&url, "fr-par", &"another".into()).unwrap();
    assert!(other.domain("d-1").await.unwrap_err().to_string().contains("SCW_SECRET_KEY"));
}
