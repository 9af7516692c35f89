//! Work that a hostile file could bring down: what is derived of uploads.

pub mod image;
