//! What can go wrong with a registry, told apart where a caller decides.

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It wants to know who asks, or does not let them.
    #[error(
        "{registry} refuses {what} with {tried}: {answer}\n  \
         set REGISTRY_USERNAME and REGISTRY_PASSWORD (in the environment or in .env.<ENV>), or type: docker login {registry}"
    )]
    Unauthorized {
        /// The registry's host.
        registry: String,
        /// What was asked for.
        what: String,
        /// Where the credentials came from, never what they are.
        tried: String,
        /// What it answered.
        answer: String,
    },
    /// There is no such thing in it.
    #[error("{registry} has no {what}")]
    NotFound {
        /// The registry's host.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// It does not delete.
    #[error(
        "{registry} refuses to delete: {answer}\n  \
         a registry of your own deletes with `storage.delete.enabled: true` in its configuration"
    )]
    DeletionRefused {
        /// The registry's host.
        registry: String,
        /// What it answered.
        answer: String,
    },
    /// No answer.
    #[error("{registry} cannot be reached: {why}\n  check its name and the network, then type the command again")]
    Unreachable {
        /// The host that was asked: the registry's, or that of its tokens.
        registry: String,
        /// Why.
        why: String,
    },
    /// Something answers that is no registry.
    #[error(
        "{registry} does not answer as an image registry: {why}\n  check the `registry` in deploy.yaml, and what proxy stands between"
    )]
    NotARegistry {
        /// The host that was asked.
        registry: String,
        /// What it answered.
        why: String,
    },
    /// All else: it says so itself.
    #[error("{registry}: {what} failed: {why}")]
    Other {
        /// The registry's host.
        registry: String,
        /// What was asked for.
        what: String,
        /// Why.
        why: String,
    },
}
