//! What operators watch the service by: metrics and traces.

use std::net::{IpAddr, SocketAddr};

use hyper::Uri;
use secrecy::SecretString;

use super::registry::{Kind, Registry};

/// Where spans are sent. The variables are those of OpenTelemetry
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The base address of the collector.
    pub endpoint: String,
    /// `name=value` pairs, separated by commas.
    pub headers: Option<SecretString>,
    pub service_name: String,
}

/// The address that the metrics are served on; `None` if they are not. They are for operators, so `public` is no port for them.
pub(super) fn metrics(registry: &mut Registry, public: Option<u16>) -> Option<Option<SocketAddr>> {
    let port = registry
        .setting(
            "METRICS_PORT",
            Kind::Port,
            "TCP port for Prometheus, with /metrics and nothing else; never make it public. Not set: no metrics; 0 picks a free port",
        )
        .optional(|text| {
            let port = text.parse().ok().filter(|port| *port == 0 || Some(*port) != public);
            port.ok_or("a port from 0 to 65535 that is not PORT")
        });
    let host = registry
        .setting("METRICS_HOST", Kind::Text, "IP address to listen on for Prometheus")
        .or("127.0.0.1", |text| text.parse::<IpAddr>().map_err(|_| "an IP address such as 127.0.0.1, 0.0.0.0 or ::"));
    let (port, host) = (port?, host?);
    Some(port.map(|port| SocketAddr::new(host, port)))
}

/// `None` if no collector is named.
pub(super) fn traces(registry: &mut Registry) -> Option<Option<TraceSettings>> {
    let endpoint = registry
        .setting(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            Kind::Url,
            "Base address of an OpenTelemetry collector that takes OTLP over HTTP, such as http://localhost:4318; not set: no traces",
        )
        .optional(|text| match text.parse::<Uri>() {
            Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none() => {
                Ok(text.to_owned())
            }
            _ => Err("a URL such as http://localhost:4318"),
        });
    let headers = registry
        .setting(
            "OTEL_EXPORTER_OTLP_HEADERS",
            Kind::Text,
            "Headers for the collector, such as authorization=Bearer%20token: pairs separated by commas, values percent-encoded",
        )
        .secret()
        .optional(|text| Ok(SecretString::from(text)));
    let service_name = registry
        .setting("OTEL_SERVICE_NAME", Kind::Text, "Name of the service in traces")
        .or("media", |text| Ok(text.to_owned()));
    let (endpoint, headers, service_name) = (endpoint?, headers?, service_name?);
    Some(endpoint.map(|endpoint| TraceSettings { endpoint, headers, service_name }))
}
