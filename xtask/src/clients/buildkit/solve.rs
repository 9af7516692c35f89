//! One build: BuildKit's call `Solve`, its status updates, and the session beside it.

use std::collections::HashMap;
use std::io::Cursor;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{
    BytesMessage, CacheOptions, CacheOptionsEntry, Exporter, SolveRequest, SolveResponse, StatusRequest,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio_util::io::{ReaderStream, StreamReader};
use tonic::Status;
use tonic::transport::Channel;

use super::receive::Receiver;
use super::session::{METHODS, Session};
use super::status::Steps;
use super::{Attest, BuildError, Builder, Built, Event, Output, Request};
use crate::clients::docker::socket::Stream;

/// How long a builder may take to send its response after the session ended, and the last status updates after its response.
const FINAL_RESPONSE: Duration = Duration::from_secs(3);

/// Bytes buffered between the session and a `buildkitd`.
const BUFFER: usize = 1 << 20;

impl Builder {
    /// Runs a build. Dropping the future cancels it.
    pub async fn build(
        &self,
        request: Request<'_>,
        output: Output<'_>,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<Built, BuildError> {
        let registry_cache = match request.cache.to {
            Some(_) => self.capabilities().await.map_err(|error| self.gone(format!("{error:#}")))?.registry_cache,
            None => false,
        };
        let mut solve = solve_request(&request, registry_cache);
        match self {
            Self::Engine(_) => {
                let (Output::Keep(name) | Output::Push(name)) = output;
                // Engines before 23.0 know only these deprecated fields, and newer ones still accept them.
                solve.exporter_deprecated = "moby".to_owned();
                solve.exporter_attrs_deprecated = attributes(&[("name", name)]);
            }
            Self::Daemon(_) => {
                solve.exporters = exporters(output);
                // Provenance has the time of the build, so an index with it has another digest after each.
                if let Output::Push(_) = output {
                    solve.frontend_attrs.extend(attestations(request.attest));
                }
            }
        }
        let (receiver, measured) = Receiver::new();
        let session = Session::new(request.context, request.secrets.clone(), request.auth.clone(), receiver);
        let session = session.map_err(|error| BuildError::Other(format!("cannot read random bytes: {error}")))?;
        solve.session = session.id.clone();
        solve.r#ref = session.id.clone();
        solve.frontend_attrs.insert("context".to_owned(), session.context());

        let control = self.control().await.map_err(|error| self.gone(error.to_string()))?;
        let connection = self.attach(&session, control.clone()).await?;
        let mut steps = Steps::default();
        let answer = {
            let mut running = std::pin::pin!(run(control, solve, &mut steps, &mut on_event));
            tokio::select! {
                answer = &mut running => Some(answer),
                _ = session.serve(connection) => tokio::time::timeout(FINAL_RESPONSE, running).await.ok(),
            }
        };
        let answer = answer.ok_or_else(|| self.gone("it closed the session".to_owned()))?;
        let answer = answer.map_err(|status| match session.context_error() {
            Some(error) => BuildError::Context(error),
            None => BuildError::of(&status, &steps, &self.describe()),
        })?;

        let cache = answer.exporter_response.get("cache.manifest").and_then(|descriptor| digest_in(descriptor));
        match self {
            Self::Engine(engine) => {
                let (Output::Keep(name) | Output::Push(name)) = output;
                let other = |error: anyhow::Error| BuildError::Other(format!("{error:#}"));
                let image = engine.image(name).await.map_err(other)?;
                let image =
                    image.ok_or_else(|| BuildError::Other(format!("the engine built {name} and does not have it")))?;
                Ok(Built { digest: image.id, layers: engine.layers(name).await.map_err(other)?, cache })
            }
            Self::Daemon(_) => {
                let digest = answer.exporter_response.get("containerimage.digest").cloned();
                let digest = digest.ok_or_else(|| BuildError::Other("the builder reported no digest".to_owned()))?;
                let measured = measured.await.map_err(|_| BuildError::Other("the builder sent no image".to_owned()))?;
                let measured = measured.map_err(|error| BuildError::Other(format!("{error:#}")))?;
                Ok(Built { digest, layers: measured.layers, cache })
            }
        }
    }

    /// The connection on which the builder calls this process.
    async fn attach(
        &self,
        session: &Session,
        mut control: ControlClient<Channel>,
    ) -> Result<Box<dyn Stream>, BuildError> {
        match self {
            Self::Engine(engine) => {
                let mut headers = vec![("X-Docker-Expose-Session-Uuid", session.id.as_str())];
                headers.extend(METHODS.iter().map(|method| ("X-Docker-Expose-Session-Grpc-Method", *method)));
                engine.upgrade("/session", &headers).await.map_err(|error| self.gone(error.to_string()))
            }
            Self::Daemon(_) => {
                let (sent, to_send) = tokio::io::simplex(BUFFER);
                let bytes = ReaderStream::with_capacity(sent, BUFFER / 4);
                let bytes = bytes.filter_map(async |chunk| Some(BytesMessage { data: chunk.ok()?.into() }));
                let mut request = tonic::Request::new(bytes);
                let metadata = request.metadata_mut();
                let id = session
                    .id
                    .parse()
                    .map_err(|_| BuildError::Other("the session id is not valid metadata".to_owned()))?;
                metadata.insert("x-docker-expose-session-uuid", id);
                for method in METHODS {
                    metadata.append(
                        "x-docker-expose-session-grpc-method",
                        tonic::metadata::MetadataValue::from_static(method),
                    );
                }
                // The daemon responds when it makes its first call.
                let answer = async move { control.session(request).await.map(tonic::Response::into_inner) };
                let received = stream::once(answer).try_flatten().map(|chunk| match chunk {
                    Ok(message) => Ok(Cursor::new(message.data)),
                    Err(status) => Err(std::io::Error::other(status)),
                });
                Ok(Box::new(tokio::io::join(StreamReader::new(Box::pin(received)), to_send)))
            }
        }
    }

    fn gone(&self, message: String) -> BuildError {
        BuildError::Gone { builder: self.describe(), message }
    }
}

/// Starts the build, and reads its status updates until it ends.
async fn run(
    mut control: ControlClient<Channel>,
    request: SolveRequest,
    steps: &mut Steps,
    on_event: &mut impl FnMut(Event<'_>),
) -> Result<SolveResponse, Status> {
    let reference = request.r#ref.clone();
    let mut listening = control.clone();
    let mut solved = std::pin::pin!(control.solve(request));
    let mut reports = std::pin::pin!(async move { listening.status(StatusRequest { r#ref: reference }).await });
    let mut reports = tokio::select! {
        // The status updates begin when the build has been registered.
        biased;
        answer = &mut solved => return Ok(answer?.into_inner()),
        reports = &mut reports => match reports {
            Ok(reports) => reports.into_inner(),
            // The response to `Solve` has the reason.
            Err(_) => return Ok(solved.await?.into_inner()),
        },
    };
    let answer = loop {
        tokio::select! {
            biased;
            report = reports.next() => match report {
                Some(Ok(report)) => steps.update(report, on_event),
                Some(Err(_)) | None => break solved.await,
            },
            answer = &mut solved => {
                let rest = async {
                    while let Some(Ok(report)) = reports.next().await {
                        steps.update(report, on_event);
                    }
                };
                tokio::time::timeout(FINAL_RESPONSE, rest).await.ok();
                break answer;
            }
        }
    };
    Ok(answer?.into_inner())
}

/// The request, without the fields that differ between an engine and a buildkitd.
fn solve_request(request: &Request<'_>, registry_cache: bool) -> SolveRequest {
    let mut attrs = attributes(&[("filename", request.dockerfile), ("platform", request.platform)]);
    attrs.insert("build-arg:SOURCE_DATE_EPOCH".to_owned(), request.created.as_second().to_string());
    attrs.extend(request.args.iter().map(|(key, value)| (format!("build-arg:{key}"), value.clone())));
    attrs.extend(request.labels.iter().map(|(key, value)| (format!("label:{key}"), value.clone())));
    if request.no_cache {
        // Empty: for all stages.
        attrs.insert("no-cache".to_owned(), String::new());
    }
    let mut exports = Vec::new();
    if let Some(from) = request.cache.from {
        attrs.insert("cache-from".to_owned(), from.to_owned());
    }
    if let Some(to) = request.cache.to {
        exports.push(match registry_cache {
            true => {
                CacheOptionsEntry { r#type: "registry".to_owned(), attrs: attributes(&[("ref", to), ("mode", "max")]) }
            }
            false => CacheOptionsEntry { r#type: "inline".to_owned(), attrs: HashMap::new() },
        });
    }
    SolveRequest {
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attrs,
        cache: Some(CacheOptions { exports, ..CacheOptions::default() }),
        ..SolveRequest::default()
    }
}

/// BuildKit's options. Build arguments, which the full provenance repeats, are in the image's history as well; of a secret it has the
/// name only.
fn attestations(attest: Attest<'_>) -> HashMap<String, String> {
    let Attest { source, revision, scanner } = attest;
    let scanner = scanner.map(|scanner| format!("generator={scanner}"));
    let given = [
        ("attest:provenance", Some("mode=max,version=v1")),
        ("attest:sbom", scanner.as_deref()),
        ("vcs:source", source),
        ("vcs:revision", revision),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}

/// The digest in a descriptor, which is JSON.
fn digest_in(descriptor: &str) -> Option<String> {
    let descriptor: serde_json::Value = serde_json::from_str(descriptor).ok()?;
    Some(descriptor["digest"].as_str()?.to_owned())
}

/// For a `buildkitd`: sends the image back to be measured, and pushes it if requested.
fn exporters(output: Output<'_>) -> Vec<Exporter> {
    let common = [("oci-mediatypes", "true"), ("rewrite-timestamp", "true")];
    let mut exporters = vec![Exporter { r#type: "oci".to_owned(), attrs: attributes(&common) }];
    if let Output::Push(name) = output {
        let mut attrs = attributes(&common);
        attrs.extend(attributes(&[("name", name), ("push", "true")]));
        exporters.push(Exporter { r#type: "image".to_owned(), attrs });
    }
    exporters
}

fn attributes(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
