//! In what providers differ. What they lack is of their documentation: Scaleway's list of S3 operations (2024-08) and its
//! "Bucket policies", Cloudflare's "S3 API compatibility" of R2.

use crate::config::Provider;

/// What not every provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Old versions of objects.
    Versioning,
    /// A block against all that would open a bucket to everybody.
    PublicAccess,
    /// Grants to others.
    Grants,
    /// Encryption that can be set.
    Encryption,
    /// Policies that can refuse requests without TLS.
    Policy,
    /// Tags.
    Tags,
}

/// Why the provider is known not to have it. A server of one's own is asked; what it does not know, it lacks.
pub fn lacks(provider: Provider, feature: Feature) -> Option<&'static str> {
    match (provider, feature) {
        (Provider::R2, Feature::Versioning) => Some("R2 keeps no old versions"),
        (Provider::R2, Feature::PublicAccess) => Some("R2 has no public access block"),
        (Provider::R2, Feature::Grants) => {
            Some("R2 has no grants: only a domain that somebody attaches opens a bucket")
        }
        (Provider::R2, Feature::Encryption) => Some("R2 encrypts everything by itself, and there is nothing to set"),
        (Provider::R2, Feature::Policy) => Some("R2 has no policies of buckets"),
        (Provider::R2, Feature::Tags) => Some("R2 has no tags of buckets"),
        (Provider::Scaleway, Feature::PublicAccess) => Some("Scaleway has no public access block"),
        (Provider::Scaleway, Feature::Encryption) => Some("Scaleway has no encryption of buckets that can be set"),
        (Provider::Scaleway, Feature::Policy) => {
            Some("Scaleway's policies shut out whoever they do not name, the owner too, so none is set")
        }
        (Provider::Aws | Provider::Scaleway | Provider::Other, _) => None,
    }
}

/// The region as it is said when a bucket is made: Amazon's first one must not be, and servers of one's own have one.
pub fn constraint(provider: Provider, region: &str) -> Option<&str> {
    match provider {
        Provider::Aws => Some(region).filter(|region| *region != "us-east-1"),
        Provider::Scaleway => Some(region),
        Provider::R2 | Provider::Other => None,
    }
}

/// By which names the provider's key is looked for.
pub fn keys(provider: Provider) -> &'static str {
    match provider {
        Provider::Scaleway => "SCW_ACCESS_KEY and SCW_SECRET_KEY (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)",
        Provider::Aws | Provider::R2 | Provider::Other => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    }
}
