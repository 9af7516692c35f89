//! Pushing an image from the engine to a registry.

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;

use super::{Credentials, Engine, split_tag};

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry refused the credentials.
    #[error("the registry refused the push of {name}: {message}")]
    Unauthorized {
        name: String,
        /// Of the registry or the engine.
        message: String,
    },
    /// The registry could not be reached, or the connection broke: a retry can succeed.
    #[error("the connection to the registry of {name} broke: {message}")]
    Network {
        name: String,
        /// Of the registry or the engine.
        message: String,
    },
    /// Any other error.
    #[error("push {name}: {message}")]
    Other {
        name: String,
        /// Of the registry or the engine.
        message: String,
    },
}

impl Engine {
    /// Pushes `registry/name:tag`, and returns the digest that the registry reported. `on_progress` gets the bytes sent and
    /// the total of one layer; layers are pushed concurrently.
    pub async fn push(
        &self,
        name: &str,
        credentials: Option<&Credentials>,
        mut on_progress: impl FnMut(u64, u64),
    ) -> Result<String, PushError> {
        let (repository, tag) = split_tag(name);
        let credentials = credentials.map(|credentials| DockerCredentials {
            username: Some(credentials.user.clone()),
            password: Some(credentials.password.expose_secret().to_owned()),
            ..DockerCredentials::default()
        });
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let mut updates = Box::pin(self.api.push_image(repository, Some(options), credentials));
        let mut digest = None;
        while let Some(info) = updates.next().await {
            let info = info.map_err(|error| PushError::of(name, error))?;
            if let Some(progress) = info.progress_detail
                && let (Some(current), Some(total)) = (progress.current, progress.total)
            {
                on_progress(current.unsigned_abs(), total.unsigned_abs());
            }
            // `<tag>: digest: sha256:… size: …` is the only message with the digest.
            let words = info.status.as_deref().and_then(|status| status.split_once(": digest: "));
            digest = words.and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned).or(digest);
        }
        digest.ok_or_else(|| PushError::Other {
            name: name.to_owned(),
            message: "the engine ended the push without reporting a digest".to_owned(),
        })
    }
}

impl PushError {
    fn of(name: &str, error: Error) -> Self {
        let name = name.to_owned();
        let (message, broken) = match error {
            Error::DockerStreamError { error } => (error, false),
            Error::DockerResponseServerError { message, .. } => (message, false),
            // The connection to the engine.
            other => (other.to_string(), true),
        };
        let lower = message.to_lowercase();
        let contains = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
        if contains(&[
            "unauthorized",
            "denied",
            "no basic auth credentials",
            "authentication required",
            "403 forbidden",
        ]) {
            Self::Unauthorized { name, message }
        } else if broken || contains(NETWORK) {
            Self::Network { name, message }
        } else {
            Self::Other { name, message }
        }
    }
}

/// Messages of Go's network library and of registries for failures that a retry can overcome.
const NETWORK: &[&str] = &[
    "connection refused",
    "connection reset",
    "broken pipe",
    "eof",
    "i/o timeout",
    "tls handshake timeout",
    "no such host",
    "no route to host",
    "network is unreachable",
    "use of closed network connection",
    "server closed idle connection",
    "context deadline exceeded",
    "received unexpected http status: 5",
    "toomanyrequests",
];

/// Rewrites bollard's standard base64 to the URL-safe alphabet that the engine decodes. Without this, the engine ignores a
/// password with `~` or `?` in it.
pub(super) fn fix_auth_header(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth")
        && let Ok(text) = value.to_str()
        && let Ok(url_safe) = text.replace('+', "-").replace('/', "_").parse()
    {
        *value = url_safe;
    }
    request
}
