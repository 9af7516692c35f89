//! The session that this process serves to the builder: context, secrets, credentials, and a receiver for the image.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::FileSendServer;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use bollard_buildkit_proto::moby::upload::v1::BytesMessage;
use bollard_buildkit_proto::moby::upload::v1::upload_server::{Upload, UploadServer};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncReadExt as _;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::receive::Receiver;
use super::{ContextStream, connect};
use crate::clients::docker::socket::Stream;

/// Bytes of the context per message.
const CHUNK: usize = 256 << 10;

/// The methods that the session serves. A builder calls only methods that the client announced.
pub(super) const METHODS: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.filesync.v1.FileSend/DiffCopy",
    "/moby.upload.v1.Upload/Pull",
];

/// The session of one build.
pub(super) struct Session {
    /// Random, so that other clients of the builder cannot use the session.
    pub id: String,
    services: Routes,
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl Session {
    /// A session for one build.
    pub fn new(
        context: ContextStream,
        secrets: std::collections::BTreeMap<String, SecretString>,
        auth: super::Auth,
        receiver: Receiver,
    ) -> io::Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = hex::encode(id);
        let failed = Arc::default();
        let context =
            Context { path: format!("/{id}"), stream: Mutex::new(Some(context)), failed: Arc::clone(&failed) };
        let services = Routes::new(HealthServer::new(AlwaysServing))
            .add_service(UploadServer::new(context).max_encoding_message_size(connect::MAX_MESSAGE))
            .add_service(SecretsServer::new(SecretStore(secrets)))
            .add_service(AuthServer::new(CredentialStore(auth)))
            .add_service(FileSendServer::new(receiver).max_decoding_message_size(connect::MAX_MESSAGE));
        Ok(Self { id, services, failed })
    }

    /// The URL under which the builder reads the context.
    pub fn context(&self) -> String {
        format!("http://buildkit-session/{}", self.id)
    }

    /// Serves until the builder closes the connection or the future is dropped.
    pub fn serve(&self, connection: Box<dyn Stream>) -> impl Future<Output = hyper::Result<()>> + use<> {
        let service = TowerToHyperService::new(self.services.clone().prepare());
        let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        http.serve_connection(TokioIo::new(connection), service)
    }

    /// The error of reading the context, if there was one.
    pub fn context_error(&self) -> Option<io::Error> {
        lock(&self.failed).take()
    }
}

struct Context {
    path: String,
    stream: Mutex<Option<ContextStream>>,
    failed: Arc<Mutex<Option<io::Error>>>,
}

#[tonic::async_trait]
impl Upload for Context {
    type PullStream = BoxStream<'static, Result<BytesMessage, Status>>;

    async fn pull(&self, request: Request<Streaming<BytesMessage>>) -> Result<Response<Self::PullStream>, Status> {
        if request.metadata().get("urlpath").is_none_or(|path| path != self.path.as_str()) {
            return Err(Status::not_found("the session has one context, under its own path"));
        }
        let stream = lock(&self.stream).take();
        let stream = stream.ok_or_else(|| Status::failed_precondition("the context can be read only once"))?;
        let failed = Arc::clone(&self.failed);
        // Gathers large messages: a pipe returns a few kilobytes per read.
        let chunks = stream::try_unfold(stream, async |mut stream| {
            let mut data = Vec::with_capacity(CHUNK);
            (&mut stream).take(CHUNK as u64).read_to_end(&mut data).await?;
            Ok((!data.is_empty()).then_some((BytesMessage { data }, stream)))
        });
        let chunks = chunks.map_err(move |error: io::Error| {
            let status = Status::aborted(format!("cannot read the context: {error}"));
            *lock(&failed) = Some(error);
            status
        });
        Ok(Response::new(chunks.boxed()))
    }
}

struct SecretStore(std::collections::BTreeMap<String, SecretString>);

#[tonic::async_trait]
impl Secrets for SecretStore {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        // BuildKit then skips the mount, unless it is `required`.
        let secret = self.0.get(id).ok_or_else(|| Status::not_found(format!("the session has no secret {id}")))?;
        Ok(Response::new(GetSecretResponse { data: secret.expose_secret().as_bytes().to_vec() }))
    }
}

struct CredentialStore(super::Auth);

#[tonic::async_trait]
impl Auth for CredentialStore {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Result<Response<CredentialsResponse>, Status> {
        let host = match request.get_ref().host.as_str() {
            // Other names of docker.io.
            "registry-1.docker.io" | "https://index.docker.io/v1/" => "docker.io",
            host => host,
        };
        Ok(Response::new(match self.0.get(host) {
            Some(found) => {
                CredentialsResponse { username: found.user.clone(), secret: found.password.expose_secret().to_owned() }
            }
            None => CredentialsResponse::default(),
        }))
    }

    // A builder falls back to `credentials`, and fetches tokens itself.
    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("the builder fetches tokens itself"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unavailable("the builder fetches tokens itself"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unavailable("the builder fetches tokens itself"))
    }
}

struct AlwaysServing;

#[tonic::async_trait]
impl Health for AlwaysServing {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only Check is served"))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only Check is served"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
