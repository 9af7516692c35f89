//! Compresses JSON for clients that take gzip.
//!
//! An answer with a token is left as it is: its length would tell a listener on the way how much of a token equals what a client has
//! sent in the same request (the attack BREACH). All of these have `Cache-Control: no-store`. So is one with a strong entity tag, which
//! is of these very bytes, and which `If-Match` compares. Files are compressed already, and a stream of events must not wait for more.

use axum::http::{
    Extensions, HeaderMap, StatusCode, Version,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG},
};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer, Predicate,
        predicate::{And, SizeAbove},
    },
};

/// In bytes. A smaller answer has one packet anyway.
const MIN_SIZE: u16 = 1024;

/// Which answers are compressed.
type Compressible = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

pub fn layer() -> CompressionLayer<And<SizeAbove, Compressible>> {
    // JSON shrinks to a fifth at the fastest level, and hardly further at others.
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(MIN_SIZE).and(is_compressible as Compressible))
}

fn is_compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let begins =
        |name, with: &str| headers.get(name).is_some_and(|value| value.as_bytes().starts_with(with.as_bytes()));
    begins(CONTENT_TYPE, "application/json") && !begins(CACHE_CONTROL, "no-store") && !begins(ETAG, "\"")
}
