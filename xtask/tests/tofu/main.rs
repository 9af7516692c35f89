//! A stack from nothing to nothing, with the real OpenTofu and a real S3 server for its state. The stacks of these tests
//! take no provider but the one that is built in, or are this repository's own and take the stand-in.

#![allow(dead_code, reason = "what is shared with other tests has more than is used here")]
// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/cloud.rs"]
mod cloud;
#[path = "../common/dns.rs"]
mod dns;
#[path = "../common/registry.rs"]
mod docker_registry;
#[path = "../common/go.rs"]
mod go;
#[path = "../common/moto.rs"]
mod moto;
#[path = "../common/tofu.rs"]
mod tofu;
#[path = "../common/versitygw.rs"]
mod versitygw;

mod approval;
mod bootstrap;
mod faults;
mod full;
mod guard;
mod interrupt;
mod life;
mod lifecycle;
mod providers;
mod proxy;
mod registry;
mod secrets;
mod sentinel;
mod site;
mod small;
mod stacks;
mod storage;
mod trouble;
mod variables;
mod whole;
mod wrong;
mod zone;
