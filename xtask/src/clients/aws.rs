//! The HTTP client that all AWS clients share.

use aws_sdk_route53::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};

/// Uses rustls with ring and the system's certificates, like all clients of the toolkit. A proxy from the environment is
/// used unless the server is on this machine (`local`).
pub fn http_client(local: bool) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, _| {
        let proxy = if local { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).proxy_config(proxy);
        connector.set_connector_settings(settings.cloned());
        connector.build()
    })
}
