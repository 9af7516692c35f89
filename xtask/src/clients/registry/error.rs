//! Errors of a registry.

/// Why a request to a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It requires credentials, or refuses those that were sent.
    #[error(
        "{registry} refuses {what} with {credentials}: {response}\n  \
         set REGISTRY_HOST={registry}, REGISTRY_USERNAME and REGISTRY_PASSWORD (in .env.<ENV> or in the environment), or type: docker login {registry}"
    )]
    Unauthorized {
        registry: String,
        /// The request, as in `to log in`.
        what: String,
        /// Where the credentials came from.
        credentials: String,
        /// Status and message.
        response: String,
    },
    /// It wants the password to be sent to a token server that is not known to be its own.
    #[error(
        "{registry} asks to send the password to {token_server}, which is another host: nothing was sent there\n  \
         if that is the token server of {registry}, set REGISTRY_TOKEN_HOST={token_server} (in .env.<ENV> or in the environment)"
    )]
    ForeignTokenServer {
        registry: String,
        /// Its host.
        token_server: String,
    },
    /// It has no such tag, manifest or blob.
    #[error("{registry} has no {what}")]
    NotFound { registry: String, what: String },
    /// It does not allow deletion.
    #[error(
        "{registry} refuses to delete: {response}\n  \
         in a registry of your own, allow it in the configuration: storage.delete.enabled: true"
    )]
    DeletionRefused {
        registry: String,
        /// Status and message.
        response: String,
    },
    /// The connection failed, or there was no response in time.
    #[error("{registry} cannot be reached: {why}\n  check its name and the network, then type the command again")]
    Unreachable {
        /// The host: the registry's, or its token server's.
        registry: String,
        why: String,
    },
    /// The response is not that of a registry.
    #[error(
        "{registry} does not respond as an image registry: {why}\n  check `registry` in deploy.yaml, and the proxy if there is one"
    )]
    NotARegistry { registry: String, why: String },
    /// Any other error.
    #[error("{registry}: {what} failed: {why}")]
    Other {
        registry: String,
        /// The request, as in `listing tags`.
        what: String,
        why: String,
    },
}
