//! Exits when the parent process does: the parent holds the write end of a pipe that is this process's standard input.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

/// Exits with code 0 when standard input is closed. Does nothing unless standard input is a pipe.
pub fn exit_when_stdin_closes() {
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
