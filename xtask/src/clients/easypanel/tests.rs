use std::sync::{Arc, Mutex};

use devservers::easypanel::{self, Engine, Fault, PASSWORD, PROJECT, TOKEN, Version};
use devservers::http::{HttpServer, Response};

use super::*;

const ALL: [(Version, Shape); 3] =
    [(Version::Trpc, Shape::Trpc), (Version::Rpc, Shape::Rpc), (Version::Public, Shape::Public)];
const IMAGE_OF: &str = "registry.example.com/shop@sha256:aa";

/// A service, the image and the variables that it was deployed with.
type Deployed = (String, String, Vec<String>);

/// Remembers what was deployed.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<Deployed>>>);

impl Engine for Memory {
    fn deploy(&self, service: &str, image: &str, env: &[String]) -> std::result::Result<(), String> {
        self.0.lock().unwrap().push((service.to_owned(), image.to_owned(), env.to_vec()));
        if image.contains("broken") { Err("pull access denied".to_owned()) } else { Ok(()) }
    }

    fn containers(&self, service: &str) -> Vec<Value> {
        let all = self.0.lock().unwrap();
        let last = all.iter().rev().find(|(name, ..)| name == service);
        last.map(|(_, image, _)| json!({ "Id": "1", "Image": image, "State": "running", "Status": "Up 1 second" }))
            .into_iter()
            .collect()
    }
}

fn panel(version: Version) -> (easypanel::Easypanel, Memory) {
    let memory = Memory::default();
    (easypanel::Easypanel::start(version, &[("web", "app"), ("db", "postgres")], memory.clone()), memory)
}

async fn connect(address: &str, token: &str) -> Result<Easypanel> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let longest = Duration::from_secs(10);
    Easypanel::connect(address, &SecretString::from(token), &Patience::default(), longest).await
}

fn web() -> App {
    App { project: PROJECT.to_owned(), service: "web".to_owned() }
}

#[tokio::test]
async fn each_version_is_told_by_its_description_and_called_in_its_shape() {
    for (version, shape) in ALL {
        let (panel, memory) = panel(version);
        let api = connect(&panel.address, TOKEN).await.unwrap();
        assert_eq!(api.shape(), shape);
        let contents = api.contents().await.unwrap();
        assert!(contents.has_project(PROJECT) && !contents.has_project("other"));
        let kinds: Vec<_> = contents.services.iter().map(|one| (one.name.as_str(), one.kind.as_str())).collect();
        assert_eq!(kinds, [("db", "postgres"), ("web", "app")]);
        let before = api.inspect(&web()).await.unwrap();
        assert!(before.mounts("/data/data") && !before.mounts("/data"));
        let env = format!("{}\nNOTE=a+b & c", before.env.clone().unwrap());
        api.set_env(&web(), &env, &before).await.unwrap();
        api.set_image(&web(), IMAGE_OF, &before).await.unwrap();
        api.deploy(&web()).await.unwrap();
        let expected = ["TZ=Europe/Helsinki", "NOTE=a+b & c"].map(str::to_owned).to_vec();
        assert_eq!(*memory.0.lock().unwrap(), [("web".to_owned(), IMAGE_OF.to_owned(), expected)]);
        let containers = api.containers(&web()).await.unwrap();
        assert!(containers.len() == 1 && containers[0].runs("sha256:aa") && containers[0].is_well(), "{containers:?}");
        // The password of the registry is sent again.
        let before = api.inspect(&web()).await.unwrap();
        api.set_image(&web(), "other@sha256:bb", &before).await.unwrap();
        assert!(panel.asked().iter().any(|one| String::from_utf8_lossy(&one.body).contains(PASSWORD)));
        assert!(panel.asked().iter().all(|one| !one.path.contains(TOKEN)));
    }
}

#[tokio::test]
async fn what_a_panel_refuses_is_told_with_its_message() {
    for (version, _) in ALL {
        let (panel, _) = panel(version);
        let refused = match connect(&panel.address, "wrong").await {
            // The oldest one has no description.
            Ok(api) => api.contents().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(refused, PanelError::Unauthorized { .. }), "{refused}");
        assert!(refused.to_string().contains("401 Unauthorized (You are not logged in.)"), "{refused}");
        let api = connect(&panel.address, TOKEN).await.unwrap();
        let gone = App { service: "gone".to_owned(), ..web() };
        let Err(error) = api.inspect(&gone).await else { panic!("it is there") };
        assert!(matches!(error, PanelError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("show a service: 404 Not Found (Service not found.)"), "{error}");
    }
}

#[tokio::test]
async fn a_deploy_is_sent_once_and_what_became_of_it_may_not_be_known() {
    for (version, _) in ALL {
        let (panel, memory) = panel(version);
        let api = connect(&panel.address, TOKEN).await.unwrap();
        let before = api.inspect(&web()).await.unwrap();
        api.set_image(&web(), "broken@sha256:aa", &before).await.unwrap();
        for fault in [None, Some(Fault::Unanswered), Some(Fault::Lost)] {
            if let Some(fault) = fault {
                panel.fail_next(fault);
            }
            let error = api.deploy(&web()).await.unwrap_err();
            // Otherwise the panel says itself that the image is broken.
            assert_eq!(matches!(error, PanelError::Away { .. }), fault == Some(Fault::Lost), "{fault:?}: {error}");
        }
        assert_eq!(memory.0.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_api_that_is_not_known_is_refused() {
    let described = |description: Value| async move {
        let server = HttpServer::start(move |_| Response::new(200).body("application/json", description.to_string()));
        match connect(&format!("http://{}", server.address), TOKEN).await {
            Ok(_) => panic!("it is known"),
            Err(error) => error.to_string(),
        }
    };
    let error = described(json!({ "paths": {}, "info": { "version": "3.0.0" } })).await;
    assert!(error.contains("version 3.0.0") && error.contains("no call that deploys a service"), "{error}");
    let paths = json!({ "/deployAppService": { "post": {} }, "/inspectAppService": { "post": {} } });
    let error = described(json!({ "paths": paths, "info": { "version": "2.99.0" } })).await;
    assert!(error.contains("describes no call to list its projects"), "{error}");
    // As 2.31 has them.
    let paths: serde_json::Map<String, Value> = [
        "projects/listProjectsAndServices",
        "projects/getDockerContainers",
        "services/app/inspectService",
        "services/app/updateSourceImage",
        "services/app/updateEnv",
        "services/app/deployService",
    ]
    .map(|path| (format!("/api/rpc/{path}"), json!({ "post": {} })))
    .into_iter()
    .collect();
    assert_eq!(Shape::of(&json!({ "paths": paths })), Ok(Shape::Rpc));
}

#[test]
fn a_container_is_well_when_it_runs_and_its_check_has_passed() {
    let of = |state: &str, status: &str| Container {
        id: "1".to_owned(),
        image: "a@sha256:aa".to_owned(),
        state: state.to_owned(),
        status: status.to_owned(),
    };
    assert!(of("running", "Up 2 minutes").is_well() && of("running", "Up 2 minutes (healthy)").is_well());
    assert!(!of("running", "Up 2 seconds (health: starting)").is_well());
    assert!(!of("running", "Up 2 minutes (unhealthy)").is_well() && !of("restarting", "").is_well());
    assert!(!of("running", "").runs("sha256:bb"));
}
