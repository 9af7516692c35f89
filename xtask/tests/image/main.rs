//! The image of a service, from a commit to a digest, with real engines, a real buildkitd and real registries.

#![allow(clippy::unwrap_used, clippy::panic)]

mod app;
mod builders;
mod building;
mod contained;
mod easypanel;
mod faults;
mod guide;
mod hints;
mod host;
mod own;
mod pushing;
mod registry_commands;
mod secrets;
mod shop;
mod trust;
mod way_back;
