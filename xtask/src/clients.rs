//! One remote system each: calls and answers, no policy. A deploy on this machine needs `service`, `webhook` and `otlp`. `patience`: how long each asks.

#[cfg(feature = "cloud")]
pub mod aws;
#[cfg(feature = "cloud")]
pub mod buildkit;
#[cfg(feature = "cloud")]
pub mod cloudflare;
#[cfg(feature = "cloud")]
pub mod dns;
#[cfg(feature = "cloud")]
pub mod docker;
#[cfg(feature = "cloud")]
pub mod github;
#[cfg(feature = "cloud")]
pub mod loki;
pub mod otlp;
pub mod patience;
#[cfg(feature = "cloud")]
pub mod registry;
#[cfg(feature = "cloud")]
pub mod route53;
#[cfg(feature = "cloud")]
pub mod s3;
#[cfg(feature = "cloud")]
pub mod scaleway;
pub mod service;
pub mod webhook;
