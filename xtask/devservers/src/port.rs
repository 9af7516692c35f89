//! TCP ports of this machine.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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

/// A port that no process listens on at an address of this machine that is not its loopback address.
pub fn free_at(host: Ipv4Addr) -> std::io::Result<u16> {
    Ok(TcpListener::bind((host, 0))?.local_addr()?.port())
}

/// A loopback address of its own whose port 443 no process listens on, for a TLS server that clients find by DNS. Fails if this
/// process may not listen on port 443.
pub fn secure() -> std::io::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [.., process] = std::process::id().to_be_bytes();
    loop {
        let [high, low] = NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        let address = SocketAddr::from(([127, process | 1, high | 128, low], 443));
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}
