//! The protocol's messages, as `build.rs` makes them of `proto/`, and short ways to write them.

#![allow(missing_docs, reason = "the protocol's own documents describe its messages")]
#![allow(clippy::all, dead_code, reason = "generated, with a name for each call that holds only its messages")]

tonic::include_proto!("tfplugin6");

/// How OpenTofu ends a plugin that it has started.
pub mod controller {
    tonic::include_proto!("plugin");
}
