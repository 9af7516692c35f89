//! The differences between providers. Unsupported features are from their documentation: Scaleway's list of S3 operations
//! (2024-08) and "Bucket policies", Cloudflare's "S3 API compatibility" of R2.

use crate::config::Provider;

/// A feature that not every provider supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Old versions of objects.
    Versioning,
    /// A public access block.
    PublicAccess,
    /// An access control list with grants to others.
    Grants,
    /// Default encryption.
    Encryption,
    /// A policy that can refuse requests without TLS.
    Policy,
    /// Tags of buckets.
    Tags,
}

/// Why the provider is known not to support a feature. For another S3 server, a request shows it.
pub fn unsupported(provider: Provider, feature: Feature) -> Option<&'static str> {
    match (provider, feature) {
        (Provider::R2, Feature::Versioning) => Some("R2 keeps no old versions"),
        (Provider::R2, Feature::PublicAccess) => Some("R2 has no public access block"),
        (Provider::R2, Feature::Grants) => Some("R2 has no access control lists; a bucket is public through a domain"),
        (Provider::R2, Feature::Encryption) => Some("R2 encrypts every object; there is nothing to set"),
        (Provider::R2, Feature::Policy) => Some("R2 has no bucket policies"),
        (Provider::R2, Feature::Tags) => Some("R2 has no bucket tags"),
        (Provider::Scaleway, Feature::PublicAccess) => Some("Scaleway has no public access block"),
        (Provider::Scaleway, Feature::Encryption) => Some("Scaleway has no default encryption for buckets"),
        (Provider::Scaleway, Feature::Policy) => {
            Some("a policy at Scaleway locks out everyone it does not name, the owner too, so none is set")
        }
        (Provider::Aws | Provider::Scaleway | Provider::Other, _) => None,
    }
}

/// The location constraint of a new bucket. Amazon refuses one for `us-east-1`; other servers have one region.
pub fn constraint(provider: Provider, region: &str) -> Option<&str> {
    match provider {
        Provider::Aws => Some(region).filter(|region| *region != "us-east-1"),
        Provider::Scaleway => Some(region),
        Provider::R2 | Provider::Other => None,
    }
}

/// The variables that hold the provider's key.
pub fn keys(provider: Provider) -> &'static str {
    match provider {
        Provider::Scaleway => "SCW_ACCESS_KEY and SCW_SECRET_KEY (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)",
        Provider::Aws | Provider::R2 | Provider::Other => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    }
}
