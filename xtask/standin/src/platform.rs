//! Scaleway's HTTP API, as far as a deployment asks it beside OpenTofu's provider: Serverless Containers v1, Serverless Jobs v1alpha2,
//! Secret Manager v1beta1, Container Registry v1, and the Loki API of Cockpit. It has the resources that the provider has.

mod answer;
mod containers;
mod domains;
mod jobs;
mod logql;
mod loki;
mod registry;
mod vault;

use std::sync::Arc;

use anyhow::Result;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::net::TcpListener;

use self::answer::{Call, Outcome};
use crate::backend::{container, domain};
use crate::fields::text;
use crate::http::{self, Body};
use crate::server::Server;
use crate::services::{Services, variable};

/// The provider whose resources it has.
pub const PROVIDER: &str = "scaleway/scaleway";

#[derive(Clone)]
pub struct Platform {
    server: Server,
    services: Arc<Services>,
    /// `STANDIN_API_KEY`: the only key that is accepted. Without it, every key is.
    key: Option<Arc<str>>,
}

impl Platform {
    pub fn new(server: Server, services: Arc<Services>) -> Self {
        Self { server, services, key: variable("STANDIN_API_KEY").map(Arc::from) }
    }

    /// The name in the engine of the container that a custom domain leads to. None unless the domain is ready.
    pub fn container_of_domain(&self, hostname: &str) -> Result<Option<String>> {
        for values in self.server.stored(domains::TYPE)? {
            let id = text(&values, "id").unwrap_or_default();
            let is_host = text(&values, "hostname").is_some_and(|own| own.eq_ignore_ascii_case(hostname));
            if is_host && domain::status(&self.services, &id)?.status == "ready" {
                let container = text(&values, "container_id").unwrap_or_default();
                return Ok(Some(container::engine_name(&self.services, &container)));
            }
        }
        Ok(None)
    }

    /// Answers requests until the process ends.
    pub async fn serve(self, listener: TcpListener) {
        let platform = Arc::new(self);
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let platform = Arc::clone(&platform);
            tokio::spawn(async move { http::serve(stream, |request| platform.answer(request)).await });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let call = match Call::read(request).await {
            Ok(call) => call,
            Err(outcome) => return outcome.response(),
        };
        if let Err(outcome) = call.authorize(self.key.as_deref()) {
            return outcome.response();
        }
        let path: Vec<_> = call.path.split('/').filter(|part| !part.is_empty()).collect();
        let outcome = match (&call.method, &path[..]) {
            (&Method::GET, ["loki", "api", "v1", "query_range"]) => loki::query_range(self, &call).await,
            (_, ["containers", "v1", "regions", region, rest @ ..]) => match (&call.method, rest) {
                (&Method::GET, ["containers"]) => containers::list(self, &call, region).await,
                (&Method::GET, ["containers", id]) => containers::get(self, region, id).await,
                (&Method::GET, ["namespaces", id]) => containers::namespace(self, region, id),
                (&Method::GET, ["domains"]) => domains::list(self, &call, region),
                (&Method::GET, ["domains", id]) => domains::get(self, region, id),
                _ => Ok(Outcome::unknown_path(&call)),
            },
            (_, ["serverless-jobs", "v1alpha2", "regions", region, rest @ ..]) => match (&call.method, rest) {
                (&Method::GET, ["job-definitions"]) => jobs::list(self, &call, region),
                (&Method::POST, ["job-definitions"]) => jobs::create(self, &call, region).await,
                (&Method::GET, ["job-definitions", id]) => jobs::get(self, region, id),
                (&Method::DELETE, ["job-definitions", id]) => jobs::delete(self, region, id).await,
                (&Method::POST, ["job-definitions", id, "start"]) => jobs::start(self, &call, region, id).await,
                (&Method::POST, ["secrets"]) => jobs::refer(self, &call, region).await,
                (&Method::GET, ["job-runs"]) => jobs::runs(self, &call, region).await,
                (&Method::GET, ["job-runs", id]) => jobs::run(self, region, id).await,
                (&Method::POST, ["job-runs", id, "stop"]) => jobs::stop(self, region, id).await,
                _ => Ok(Outcome::unknown_path(&call)),
            },
            (_, ["secret-manager", "v1beta1", "regions", region, rest @ ..]) => match (&call.method, rest) {
                (&Method::GET, ["secrets"]) => vault::list(self, &call, region),
                (&Method::POST, ["secrets"]) => vault::create(self, &call, region).await,
                (&Method::POST, ["secrets", id, "versions"]) => vault::add(self, &call, region, id).await,
                (&Method::DELETE, ["secrets", id]) => vault::delete(self, region, id),
                _ => Ok(Outcome::unknown_path(&call)),
            },
            (_, ["registry", "v1", "regions", region, rest @ ..]) => match (&call.method, rest) {
                (&Method::GET, ["namespaces"]) => registry::list(self, &call, region),
                (&Method::POST, ["namespaces"]) => registry::create(self, &call, region).await,
                (&Method::GET, ["namespaces", id]) => registry::get(self, region, id),
                (&Method::PATCH, ["namespaces", id]) => registry::change(self, &call, region, id).await,
                _ => Ok(Outcome::unknown_path(&call)),
            },
            _ => Ok(Outcome::unknown_path(&call)),
        };
        outcome.unwrap_or_else(|error| Outcome::broken(&error)).response()
    }
}
