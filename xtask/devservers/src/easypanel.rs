//! An Easypanel of a version that a test chooses: the calls that a deploy takes, in that version's shape, held against the description that it
//! gives of them. It keeps what services are set to; what runs them is the test's.
//!
//! Sources: <https://easypanel.io/docs/api-reference>; the operations of a panel 2.33.1 and the shapes of older ones in
//! github.com/helbertparanhos/easypanel-mcp-server.

mod operations;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use self::operations::{Operation, find};
use crate::http::{HttpServer, Request, Response};

/// The token of its API.
pub const TOKEN: &str = "sentinel-token-of-the-panel";
/// Its project.
pub const PROJECT: &str = "shop";
/// The password by which it pulls images.
pub const PASSWORD: &str = "sentinel-password-of-the-registry";

/// The operation that deploys, by its name from 2.33 on.
pub const DEPLOY: &str = "deployAppService";

/// A version of the panel, by the shape of its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 2.30: tRPC, and no description.
    Trpc,
    /// 2.32: RPC.
    Rpc,
    /// 2.33: the public API.
    Public,
}

/// What runs the containers of services.
pub trait Engine: Send + Sync + 'static {
    /// Replaces the container of a service, with this image and these variables, `NAME=value`. Fails with what the panel says.
    fn deploy(&self, service: &str, image: &str, env: &[String]) -> Result<(), String>;
    /// The containers of a service, as Docker lists them.
    fn containers(&self, service: &str) -> Vec<Value>;
}

/// What goes wrong with the next deploy of any service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done, and the connection ends before the answer.
    Unanswered,
    /// It is not done, and the connection ends.
    Lost,
    /// It does not end, and there is no answer.
    Endless,
    /// The user of the token may not change variables.
    Forbidden,
}

/// A panel with one project. It lives as long as this process.
pub struct Easypanel {
    /// `http://127.0.0.1:<port>`.
    pub address: String,
    shared: Arc<Shared>,
    server: HttpServer,
}

struct Shared {
    version: Version,
    engine: Box<dyn Engine>,
    services: Mutex<BTreeMap<String, Service>>,
    fault: Mutex<Option<Fault>>,
}

struct Service {
    kind: &'static str,
    image: Option<String>,
    env: String,
}

impl Easypanel {
    /// Starts one with these services, by name and kind, such as `app`.
    pub fn start(version: Version, services: &[(&str, &'static str)], engine: impl Engine) -> Self {
        let service = |(name, kind): &(&str, &'static str)| {
            let service = Service { kind, image: None, env: "# of the panel\nTZ=Europe/Helsinki".to_owned() };
            ((*name).to_owned(), service)
        };
        let services = Mutex::new(services.iter().map(service).collect());
        let shared = Arc::new(Shared { version, engine: Box::new(engine), services, fault: Mutex::default() });
        let its = Arc::clone(&shared);
        let server = HttpServer::start(move |request| its.answer(request));
        Self { address: format!("http://{}", server.address), shared, server }
    }

    /// What goes wrong with the next deploy.
    pub fn fail_next(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some(fault);
    }

    /// The image that a service is set to.
    pub fn image(&self, service: &str) -> Option<String> {
        self.shared.services.lock().unwrap()[service].image.clone()
    }

    /// The variables that a service is set to.
    pub fn env(&self, service: &str) -> String {
        self.shared.services.lock().unwrap()[service].env.clone()
    }

    /// Changes variables as people do.
    pub fn set_env(&self, service: &str, env: &str) {
        env.clone_into(&mut self.shared.services.lock().unwrap().get_mut(service).unwrap().env);
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Request> {
        self.server.asked()
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Response {
        let path = request.path.split('?').next().unwrap_or_default();
        if path == "/api/openapi.json" && self.version == Version::Trpc || !path.starts_with("/api/") {
            return Response::new(200).body("text/html", "<!doctype html><title>Easypanel</title>");
        }
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return self.refuse(401, "UNAUTHORIZED", "You are not logged in.");
        }
        if path == "/api/openapi.json" {
            return json_body(200, &operations::description(self.version));
        }
        let (operation, input) = match find(self.version, request) {
            Ok(found) => found,
            Err((status, why)) => return self.refuse(status, "BAD_REQUEST", &why),
        };
        let is_deploy = operation.public == DEPLOY;
        if self.fault.lock().unwrap().take_if(|fault| is_deploy && *fault == Fault::Endless).is_some() {
            return Response::silent();
        }
        match self.perform(operation, &input) {
            Ok(Some(answer)) => self.envelop(answer),
            Ok(None) => Response::cut(),
            Err((status, why)) => self.refuse(status, "NOT_FOUND", &why),
        }
    }

    /// None where the connection ends.
    fn perform(&self, operation: &Operation, input: &Value) -> Result<Option<Value>, (u16, String)> {
        let mut services = self.services.lock().unwrap();
        if operation.public == "listProjectsAndServices" {
            let listed = services.iter().map(|(name, service)| self.show(name, service));
            let listed: Vec<Value> = listed.collect();
            let projects = [json!({ "name": PROJECT, "createdAt": "2026-06-08T05:20:38.715Z" })];
            return Ok(Some(json!({ "projects": projects, "services": listed })));
        }
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let name = match operation.public {
            "getDockerContainers" => text("service").strip_prefix(&format!("{PROJECT}_")).map(str::to_owned),
            _ => (text("projectName") == PROJECT).then(|| text("serviceName")),
        };
        let gone = || (404, "Service not found.".to_owned());
        let name = name.ok_or_else(gone)?;
        let service = services.get_mut(&name).filter(|service| service.kind == "app").ok_or_else(gone)?;
        Ok(Some(match operation.public {
            "inspectAppService" => self.show(&name, service),
            "getDockerContainers" => self.engine.containers(&name).into(),
            "updateAppSourceImage" => {
                // One that is not sent again is forgotten.
                if service.image.is_some() && text("password") != PASSWORD {
                    return Err((400, "the password of the registry was lost".to_owned()));
                }
                service.image = Some(text("image"));
                Value::Null
            }
            "updateAppEnv" => {
                let is_forbidden = self.fault.lock().unwrap().take_if(|fault| *fault == Fault::Forbidden).is_some();
                if is_forbidden {
                    return Err((403, "You may not change it.".to_owned()));
                }
                service.env = text("env");
                Value::Null
            }
            DEPLOY => {
                let fault = self.fault.lock().unwrap().take();
                if fault == Some(Fault::Lost) {
                    return Ok(None);
                }
                let image = service.image.clone().ok_or((400, "no image".to_owned()))?;
                let is_variable = |line: &&str| !line.starts_with('#') && line.contains('=');
                let env: Vec<String> = service.env.lines().filter(is_variable).map(str::to_owned).collect();
                self.engine.deploy(&name, &image, &env).map_err(|why| (500, why))?;
                if fault == Some(Fault::Unanswered) {
                    return Ok(None);
                }
                Value::Null
            }
            other => panic!("{other} is described and not there"),
        }))
    }

    fn show(&self, name: &str, service: &Service) -> Value {
        let source = service
            .image
            .as_ref()
            .map(|image| json!({ "type": "image", "image": image, "username": "puller", "password": PASSWORD }));
        json!({
            "projectName": PROJECT,
            "name": name,
            "type": service.kind,
            "enabled": true,
            "source": source,
            "env": service.env,
            "deploy": { "replicas": 1, "command": null, "zeroDowntime": false },
            "mounts": [{ "type": "volume", "name": "data", "mountPath": "/data/data" }],
        })
    }

    fn envelop(&self, answer: Value) -> Response {
        match self.version {
            Version::Trpc => json_body(200, &json!({ "result": { "data": { "json": answer } } })),
            Version::Rpc => json_body(200, &json!({ "json": answer })),
            // What gives nothing has no body.
            Version::Public if answer.is_null() => Response::new(200),
            Version::Public => json_body(200, &answer),
        }
    }

    fn refuse(&self, status: u16, code: &str, message: &str) -> Response {
        let body = match self.version {
            Version::Trpc => {
                json!({ "error": { "json": { "message": message, "code": -32001, "data": { "code": code, "httpStatus": status } } } })
            }
            Version::Rpc => json!({ "json": { "code": code, "status": status, "message": message } }),
            Version::Public => json!({ "code": code, "message": message }),
        };
        json_body(status, &body)
    }
}

fn json_body(status: u16, value: &Value) -> Response {
    Response::new(status).body("application/json", value.to_string())
}
