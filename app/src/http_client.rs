//! An HTTP client: for the service that `app import` sends to, and for a collector of traces. The S3 client brings its parts
//! along.

use std::{io, sync::Arc, time::Duration};

use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Sends bodies of the type `B`. Follows no redirects and asks no proxy.
pub type HttpClient<B> = Client<HttpsConnector<HttpConnector>, B>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// With `https` it trusts the certificates that this machine trusts. Without, it needs none and reaches no server by HTTPS.
///
/// # Errors
/// If `https`, and this machine has no certificates.
pub fn http_client<B>(https: bool) -> anyhow::Result<HttpClient<B>>
where
    B: Body + Send,
    B::Data: Send,
{
    let connector = HttpsConnectorBuilder::new();
    let connector = if https {
        connector.with_provider_and_native_roots(ring::default_provider()).map_err(no_certificates)?
    } else {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let tls = tls.with_safe_default_protocol_versions()?;
        connector.with_tls_config(tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    let connector = connector.https_or_http().enable_http1().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector))
}

fn no_certificates(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("this machine has no certificates to verify a server by: {error}"))
}
