//! The messages of plugin protocol 6, which `build.rs` generates from `proto/`.

#![allow(clippy::all, dead_code, reason = "generated, with an empty struct for each call that holds only its messages")]

tonic::include_proto!("tfplugin6");

/// go-plugin's service, through which OpenTofu stops a plugin.
pub mod controller {
    tonic::include_proto!("plugin");
}
