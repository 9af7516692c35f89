//! What all AWS clients share: the HTTP client, and the limit of what they read.

use aws_sdk_route53::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_route53::config::{ConfigBag, Intercept, RuntimeComponents, SharedHttpClient};
use aws_sdk_route53::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use http_body_util::Limited;

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

/// The most bytes of an answer. The SDK reads the whole body of every answer but an object's into memory.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

impl Intercept for BodyLimit {
    fn name(&self) -> &'static str {
        "the limit of an answer's body"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        *body = SdkBody::from_body_1_x(Limited::new(std::mem::replace(body, SdkBody::taken()), self.0));
        Ok(())
    }
}
