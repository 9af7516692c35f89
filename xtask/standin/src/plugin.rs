//! How OpenTofu connects to the provider: go-plugin's handshake or `TF_REATTACH_PROVIDERS`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde_json::json;
use tokio::sync::Notify;
use tonic::transport::{Identity, Server as Transport, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::protocol::controller::Empty;
use crate::protocol::controller::grpc_controller_server::{GrpcController, GrpcControllerServer};
use crate::protocol::provider_server::ProviderServer;
use crate::server::Server;
use crate::socket::listen;

/// The variable that OpenTofu sets for plugins, and its value.
const MAGIC_COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

pub fn started_by_opentofu() -> bool {
    let (name, value) = MAGIC_COOKIE;
    std::env::var(name).is_ok_and(|set| set == value)
}

/// Prints the value of `TF_REATTACH_PROVIDERS` as one line, then serves until the process is stopped.
/// The sockets are in `folder`.
pub async fn serve_reattach(servers: Vec<Server>, folder: &Path) -> Result<()> {
    let mut addresses = serde_json::Map::new();
    let mut serving = tokio::task::JoinSet::new();
    for server in servers {
        let name = server.source().rsplit('/').next().unwrap_or_default();
        let (connections, path) = listen(folder, &format!("{name}.sock"))?;
        addresses.insert(
            server.source().to_owned(),
            json!({
                "Protocol": "grpc", "ProtocolVersion": 6, "Pid": std::process::id(), "Test": true,
                "Addr": { "Network": "unix", "String": path },
            }),
        );
        let router = Transport::builder().add_service(provider(server)).add_service(controller(Arc::default()));
        serving.spawn(router.serve_with_incoming(connections));
    }
    println!("{}", serde_json::Value::Object(addresses));
    while let Some(ended) = serving.join_next().await {
        ended.context("a provider's server stopped")?.context("serve a provider")?;
    }
    Ok(())
}

/// Prints the line of go-plugin's handshake, then serves until OpenTofu calls `Shutdown`. Uses TLS if OpenTofu set
/// `PLUGIN_CLIENT_CERT`. The socket is in `folder`.
pub async fn serve_plugin(mut servers: Vec<Server>, folder: &Path) -> Result<()> {
    ensure!(servers.len() == 1, "a plugin serves one provider, but STANDIN_SCHEMA names {} schemas", servers.len());
    let server = servers.remove(0);
    let (connections, path) = listen(folder, &format!("plugin-{}.sock", std::process::id()))?;
    let mut transport = Transport::builder();
    let mut certificate = String::new();
    if std::env::var_os("PLUGIN_CLIENT_CERT").is_some() {
        // The client is not asked for its certificate: it is a CA used as a leaf, which rustls rejects.
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).context("generate a certificate")?;
        certificate = BASE64_STANDARD_NO_PAD.encode(own.cert.der());
        let identity = Identity::from_pem(own.cert.pem(), own.signing_key.serialize_pem());
        transport = transport.tls_config(ServerTlsConfig::new().identity(identity)).context("configure TLS")?;
    }
    let shutdown = Arc::new(Notify::new());
    let router = transport.add_service(provider(server)).add_service(controller(Arc::clone(&shutdown)));
    println!("1|6|unix|{}|grpc|{certificate}", path.display());
    let served = router.serve_with_incoming_shutdown(connections, async move { shutdown.notified().await });
    let served = served.await.context("serve the provider");
    fs_err::remove_file(path).ok();
    served
}

fn provider(server: Server) -> ProviderServer<Server> {
    // A resource can be larger than gRPC's default limit of 4 MiB.
    ProviderServer::new(server).max_decoding_message_size(usize::MAX)
}

fn controller(shutdown: Arc<Notify>) -> GrpcControllerServer<Controller> {
    GrpcControllerServer::new(Controller(shutdown))
}

/// Answers `Shutdown`. Without it, OpenTofu waits two seconds before it kills each provider.
struct Controller(Arc<Notify>);

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.notify_one();
        Ok(Response::new(Empty {}))
    }
}
