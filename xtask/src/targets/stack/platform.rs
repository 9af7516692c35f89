//! The status of a stack's container, asked of Scaleway's API.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::clients::registry::http::printable;
use crate::clients::scaleway::Containers;
use crate::env::Env;
use crate::targets::condition::Condition;
use crate::tofu::unseen;

/// Limit for one question, with the client's own retries: the service is asked beside it.
const ONE_QUESTION: Duration = Duration::from_secs(5);
/// How long an API that did not answer is left alone.
const AWAY: Duration = Duration::from_secs(15);

/// The platform of one container.
pub struct Platform {
    /// The client and the container's UUID, or why it cannot be asked.
    api: Result<(Containers, String), String>,
    /// When it last failed to answer, and how.
    failed: Mutex<Option<(Instant, String)>>,
}

impl Platform {
    /// The platform of the container with this id, `<region>/<UUID>`, which a stack returns.
    pub fn of(env: &Env<'_>, container: Option<&str>) -> Self {
        let api = || {
            let id = container.context("the stack has no output `container_id`")?;
            let (api, id) = unseen::containers(env, id)?;
            anyhow::Ok((api, id.to_owned()))
        };
        Self::new(api().map_err(|error| format!("{error:#}")))
    }

    fn new(api: Result<(Containers, String), String>) -> Self {
        Self { api, failed: Mutex::default() }
    }

    /// What it says now. Never fails and never takes longer than a question to the service.
    pub async fn condition(&self) -> Condition {
        let (api, id) = match &self.api {
            Ok((api, id)) => (api, id),
            Err(why) => return Condition::NotAsked(why.clone()),
        };
        if let Some((at, why)) = &*self.failed()
            && at.elapsed() < AWAY
        {
            return Condition::NotAsked(why.clone());
        }
        let why = match tokio::time::timeout(ONE_QUESTION, api.container(id)).await {
            Ok(Ok(Some(container))) => {
                let reason = container.error_message.as_deref().filter(|text| !text.is_empty());
                return match container.status.as_str() {
                    "error" => Condition::Error(printable(reason.unwrap_or("Scaleway gives no reason"))),
                    // The second is maintenance, without downtime.
                    "ready" | "upgrading" => Condition::Ready,
                    status => Condition::Other(printable(status)),
                };
            }
            Ok(Ok(None)) => return Condition::Other("that there is no such container".to_owned()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("Scaleway's API did not answer within {} s", ONE_QUESTION.as_secs()),
        };
        *self.failed() = Some((Instant::now(), why.clone()));
        Condition::NotAsked(why)
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use devservers::http::{HttpServer, Response};

    use super::*;

    const ID: &str = "11111111-2222-4333-8444-555555555555";

    fn platform(server: &HttpServer) -> Platform {
        drop(rustls::crypto::ring::default_provider().install_default());
        let api = format!("http://{}", server.address);
        Platform::new(Ok((Containers::new(&api, "fr-par", &"key".into()).unwrap(), ID.to_owned())))
    }

    async fn of(body: &'static str) -> Condition {
        let server = HttpServer::start(move |_| Response::new(200).body("application/json", body));
        let condition = platform(&server).condition().await;
        assert_eq!(server.asked()[0].path, format!("/containers/v1/regions/fr-par/containers/{ID}"));
        condition
    }

    #[tokio::test]
    async fn the_status_is_read_as_scaleway_writes_it() {
        assert_eq!(of(r#"{"id":"1","status":"ready","error_message":null}"#).await, Condition::Ready);
        // An old error of a container that runs.
        assert_eq!(of(r#"{"status":"ready","error_message":"once"}"#).await, Condition::Ready);
        assert_eq!(of(r#"{"status":"upgrading"}"#).await, Condition::Ready);
        assert_eq!(of(r#"{"status":"updating"}"#).await, Condition::Other("updating".to_owned()));
        let error = of(r#"{"status":"error","error_message":"the image has no\nprogram"}"#).await;
        assert!(matches!(&error, Condition::Error(why) if why.contains("program") && !why.contains('\n')), "{error:?}");
        assert!(matches!(of(r#"{"status":"error"}"#).await, Condition::Error(why) if why.contains("no reason")));
    }

    #[tokio::test]
    async fn a_platform_that_cannot_be_asked_is_left_alone_for_a_while() {
        let server = HttpServer::start(|_| Response::new(403).body("application/json", r#"{"message":"denied"}"#));
        let platform = platform(&server);
        for _ in 0..3 {
            let condition = platform.condition().await;
            assert!(matches!(&condition, Condition::NotAsked(why) if why.contains("SCW_SECRET_KEY")), "{condition:?}");
        }
        assert_eq!(server.asked().len(), 1);
        let gone = HttpServer::start(|_| Response::new(404));
        let gone = self::platform(&gone).condition().await;
        assert!(matches!(&gone, Condition::Other(why) if why.contains("no such container")), "{gone:?}");
    }
}
