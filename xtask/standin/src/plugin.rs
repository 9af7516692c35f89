//! How OpenTofu and a provider find each other.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server as Transport, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::protocol::controller::Empty;
use crate::protocol::controller::grpc_controller_server::{GrpcController, GrpcControllerServer};
use crate::protocol::provider_server::ProviderServer;
use crate::server::Server;

/// What OpenTofu sets for the plugins that it starts.
pub const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// Serves providers to whoever has the address, until the process is ended. Prints one line: the value of
/// `TF_REATTACH_PROVIDERS`.
pub async fn attached(servers: Vec<Server>) -> Result<()> {
    let mut addresses = serde_json::Map::new();
    let mut serving = tokio::task::JoinSet::new();
    for server in servers {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen on 127.0.0.1")?;
        let address = listener.local_addr().context("listen on 127.0.0.1")?;
        addresses.insert(
            server.source().to_owned(),
            json!({
                "Protocol": "grpc", "ProtocolVersion": 6, "Pid": std::process::id(), "Test": true,
                "Addr": { "Network": "tcp", "String": address.to_string() },
            }),
        );
        let router = Transport::builder().add_service(provider(server)).add_service(controller(Arc::default()));
        serving.spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    }
    println!("{}", serde_json::Value::Object(addresses));
    while let Some(ended) = serving.join_next().await {
        ended.context("a provider's server ended")?.context("serve a provider")?;
    }
    Ok(())
}

/// Serves the program that has started this one until it says that it is done: prints the line by which it finds the
/// provider, and keeps to TLS if it is asked to.
pub async fn started(mut servers: Vec<Server>) -> Result<()> {
    ensure!(servers.len() == 1, "a plugin is one provider, and {} schemas were given", servers.len());
    let server = servers.remove(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen on 127.0.0.1")?;
    let address = listener.local_addr().context("listen on 127.0.0.1")?;
    let mut transport = Transport::builder();
    let mut certificate = String::new();
    if std::env::var_os("PLUGIN_CLIENT_CERT").is_some() {
        // The client's certificate is an authority used as a leaf, which no verifier takes: it is not asked for.
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).context("make a certificate")?;
        certificate = BASE64_STANDARD_NO_PAD.encode(own.cert.der());
        let identity = Identity::from_pem(own.cert.pem(), own.signing_key.serialize_pem());
        transport = transport.tls_config(ServerTlsConfig::new().identity(identity)).context("serve with TLS")?;
    }
    let done = Arc::new(Notify::new());
    let router = transport.add_service(provider(server)).add_service(controller(Arc::clone(&done)));
    println!("1|6|tcp|{address}|grpc|{certificate}");
    let served =
        router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move { done.notified().await });
    served.await.context("serve the provider")
}

fn provider(server: Server) -> ProviderServer<Server> {
    // A resource may be larger than what gRPC allows of itself.
    ProviderServer::new(server).max_decoding_message_size(usize::MAX)
}

fn controller(done: Arc<Notify>) -> GrpcControllerServer<Controller> {
    GrpcControllerServer::new(Controller(done))
}

/// Without it each end of a provider would take OpenTofu two seconds of waiting.
struct Controller(Arc<Notify>);

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.notify_one();
        Ok(Response::new(Empty {}))
    }
}
