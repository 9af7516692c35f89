//! TCP ports of this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that no process listens on, below those that the system gives to clients. This process gets each port only
/// once in two thousand calls, and processes that run at the same time begin at different ones.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 200).expect("it is below 200") * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::SeqCst) % 2000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
