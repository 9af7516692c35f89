//! What is called, and how each version of a panel calls it.

use serde_json::Value;

/// A procedure, by its name up to 2.32 and by its name from 2.33 on.
pub(super) struct Procedure {
    name: &'static str,
    public: &'static str,
    /// Whether it changes nothing.
    pub(super) reads: bool,
    /// For the middle of a sentence: `the request to …`.
    pub(super) what: &'static str,
}

pub(super) const LIST: Procedure =
    reading("projects.listProjectsAndServices", "listProjectsAndServices", "list its projects");
pub(super) const INSPECT: Procedure = reading("services.app.inspectService", "inspectAppService", "show a service");
pub(super) const CONTAINERS: Procedure =
    reading("projects.getDockerContainers", "getDockerContainers", "list the containers of a service");
pub(super) const IMAGE: Procedure =
    changing("services.app.updateSourceImage", "updateAppSourceImage", "set the image of a service");
pub(super) const ENV: Procedure = changing("services.app.updateEnv", "updateAppEnv", "set the variables of a service");
pub(super) const DEPLOY: Procedure = changing("services.app.deployService", "deployAppService", "deploy a service");

const ALL: [&Procedure; 6] = [&LIST, &INSPECT, &CONTAINERS, &IMAGE, &ENV, &DEPLOY];

/// How a panel is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Up to 2.30.
    Trpc,
    /// 2.31 and 2.32.
    Rpc,
    /// From 2.33 on.
    Public,
}

const fn reading(name: &'static str, public: &'static str, what: &'static str) -> Procedure {
    Procedure { name, public, reads: true, what }
}

const fn changing(name: &'static str, public: &'static str, what: &'static str) -> Procedure {
    Procedure { name, public, reads: false, what }
}

impl Shape {
    /// By the description that a panel gives of itself. Fails with what is missing in it.
    ///
    /// The paths begin with `/api/rpc/` in 2.31. In 2.32 that is in `servers`. From 2.33 on, they are names without `/`.
    pub(super) fn of(description: &Value) -> Result<Self, String> {
        let paths = description["paths"].as_object().ok_or("its /api/openapi.json has no `paths`")?;
        let server = description["servers"][0]["url"].as_str().unwrap_or_default().trim_end_matches('/');
        let has = |shape: Self, procedure: &Procedure| match shape {
            Self::Trpc => false,
            Self::Rpc => {
                let path = format!("/{}", shape.path(procedure));
                let is_there = |path: &str| paths.contains_key(path);
                is_there(&path) || path.strip_prefix(server).is_some_and(|rest| !server.is_empty() && is_there(rest))
            }
            Self::Public => {
                let method = if procedure.reads { "get" } else { "post" };
                paths.get(&format!("/{}", procedure.public)).is_some_and(|path| path.get(method).is_some())
            }
        };
        let shape = [Self::Public, Self::Rpc].into_iter().find(|shape| has(*shape, &DEPLOY));
        let version = description["info"]["version"].as_str().unwrap_or("unknown");
        let shape = shape.ok_or_else(|| {
            format!("its API (version {version}) is none of those that are known: it describes no call that deploys a service")
        })?;
        match ALL.into_iter().find(|procedure| !has(shape, procedure)) {
            None => Ok(shape),
            Some(missing) => Err(format!(
                "its API (version {version}) is none of those that are known: it describes no call to {}",
                missing.what
            )),
        }
    }

    /// The path of a call.
    pub(super) fn path(self, procedure: &Procedure) -> String {
        match self {
            Self::Trpc => format!("api/trpc/{}", procedure.name),
            Self::Rpc => format!("api/rpc/{}", procedure.name.replace('.', "/")),
            Self::Public => format!("api/{}", procedure.public),
        }
    }

    /// The versions that have it.
    pub fn versions(self) -> &'static str {
        match self {
            Self::Trpc => "up to 2.30",
            Self::Rpc => "2.31 or 2.32",
            Self::Public => "2.33 or newer",
        }
    }
}
