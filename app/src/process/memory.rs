//! Files in memory, by which the service passes bytes to its processes. They have no name, so none is left behind.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
};

use anyhow::Context as _;
use rustix::fs::{MemfdFlags, memfd_create};

/// A file with these contents, one part after another, to be read from its beginning.
pub fn file(parts: &[&[u8]]) -> anyhow::Result<File> {
    let mut file: File = memfd_create("input", MemfdFlags::CLOEXEC).context("cannot create a file in memory")?.into();
    for part in parts {
        file.write_all(part).context("cannot write a file in memory")?;
    }
    file.rewind()?;
    Ok(file)
}
