//! Pushing an image from the engine to a registry.

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;

use super::{Credentials, Engine, split_tag};

/// Why a push did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry wants other credentials, or none may write there.
    #[error("the registry refuses to let {name} be written: {said}")]
    Unauthorized {
        /// What was pushed.
        name: String,
        /// What the registry or the engine said.
        said: String,
    },
    /// The registry could not be reached, or the connection broke: another try may succeed.
    #[error("the way to the registry of {name} is broken: {said}")]
    Network {
        /// What was pushed.
        name: String,
        /// What the registry or the engine said.
        said: String,
    },
    /// Anything else.
    #[error("push {name}: {said}")]
    Other {
        /// What was pushed.
        name: String,
        /// What the registry or the engine said.
        said: String,
    },
}

impl Engine {
    /// Pushes the image of this name (`registry/name:tag`) and returns the digest that the registry gave it. Says how many
    /// bytes of how many of some layer are there; layers go side by side.
    pub async fn push(
        &self,
        name: &str,
        credentials: Option<&Credentials>,
        mut on: impl FnMut(u64, u64),
    ) -> Result<String, PushError> {
        let (repository, tag) = split_tag(name);
        let credentials = credentials.map(|credentials| DockerCredentials {
            username: Some(credentials.user.clone()),
            password: Some(credentials.password.expose_secret().to_owned()),
            ..DockerCredentials::default()
        });
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let mut said = Box::pin(self.api.push_image(repository, Some(options), credentials));
        let mut digest = None;
        while let Some(info) = said.next().await {
            let info = info.map_err(|error| PushError::of(name, error))?;
            if let Some(progress) = info.progress_detail
                && let (Some(current), Some(total)) = (progress.current, progress.total)
            {
                on(current.unsigned_abs(), total.unsigned_abs());
            }
            // `<tag>: digest: sha256:… size: …`: the one place where it is said.
            let words = info.status.as_deref().and_then(|status| status.split_once(": digest: "));
            digest = words.and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned).or(digest);
        }
        digest.ok_or_else(|| PushError::Other {
            name: name.to_owned(),
            said: "the engine ended the push without saying the digest".to_owned(),
        })
    }
}

impl PushError {
    fn of(name: &str, error: Error) -> Self {
        let name = name.to_owned();
        let (said, broken) = match error {
            Error::DockerStreamError { error } => (error, false),
            Error::DockerResponseServerError { message, .. } => (message, false),
            // Between here and the engine.
            other => (other.to_string(), true),
        };
        let lower = said.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&["unauthorized", "denied", "no basic auth credentials", "authentication required", "403 forbidden"]) {
            Self::Unauthorized { name, said }
        } else if broken || says(NETWORK) {
            Self::Network { name, said }
        } else {
            Self::Other { name, said }
        }
    }
}

/// What Go's network library and registries say when a connection cannot be made or breaks, or when a later try may do.
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

/// The engine reads this header as base64 for URLs, and bollard writes the other alphabet: a password with `~` or `?`
/// in it would count as none.
pub(super) fn mend_credentials(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth")
        && let Ok(text) = value.to_str()
        && let Ok(mended) = text.replace('+', "-").replace('/', "_").parse()
    {
        *value = mended;
    }
    request
}
