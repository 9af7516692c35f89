//! Local programs and the operating system, one module each: how to call them and what they answer. No module decides
//! anything.

pub mod apt;
pub mod cargo;
pub mod cmd;
#[cfg(feature = "cloud")]
pub mod dockerignore;
pub mod git;
pub mod host;
pub mod npm;
#[cfg(feature = "cloud")]
pub mod openssl;
pub mod platform;
pub mod port;
pub mod postgres;
pub mod reach;
pub mod sqlx;
pub mod ssh;
pub mod tofu;
