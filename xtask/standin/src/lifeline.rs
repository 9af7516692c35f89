//! A stand-in whose parent holds its standard input ends with that parent, however that ends.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

/// Ends this process once its standard input, if that is a pipe, is closed. A terminal or `/dev/null` says nothing.
pub fn hold() {
    let stdin = io::stdin();
    let metadata = stdin.as_fd().try_clone_to_owned().and_then(|stdin| std::fs::File::from(stdin).metadata());
    if metadata.is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        std::thread::spawn(move || {
            let mut stdin = stdin.lock();
            while matches!(stdin.read(&mut [0; 64]), Ok(1..)) {}
            std::process::exit(0);
        });
    }
}
