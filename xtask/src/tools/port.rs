//! TCP ports and the processes that listen on them.

use std::net::{IpAddr, SocketAddr, TcpListener};

use listeners::{Protocol, SocketState};

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name, cut to 15 bytes on Linux.
    pub name: String,
    /// The path of its program; empty if the system hides it.
    pub program: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The process that listens on this TCP port, on any address. `None` does not mean that the port is free: the system may hide
/// processes of other users.
pub fn holder(port: u16) -> Option<Holder> {
    // Not `get_process_by_port`: it returns the first socket with that port, even a closed connection's.
    let listener = listeners::get_all().ok()?.into_iter().find(|listener| {
        listener.protocol == Protocol::TCP && listener.state == SocketState::Listen && listener.socket.port() == port
    })?;
    let process = listener.process;
    Some(Holder { pid: process.pid, name: process.name, program: process.path })
}

/// The addresses on which a process listens, as far as the system shows them.
pub fn listening(pid: u32) -> Vec<SocketAddr> {
    let all = listeners::get_all().into_iter().flatten();
    let own = all.filter(|listener| {
        listener.process.pid == pid && listener.protocol == Protocol::TCP && listener.state == SocketState::Listen
    });
    own.map(|listener| listener.socket).collect()
}

/// A port that is free at the moment, on this address.
pub fn free(host: IpAddr) -> std::io::Result<u16> {
    Ok(TcpListener::bind((host, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_and_a_free_port_has_none() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            let found = holder(port).unwrap();
            assert_eq!(found.pid, std::process::id());
            assert!(listening(std::process::id()).contains(&listener.local_addr().unwrap()));
            assert_eq!(found.program, std::env::current_exe().unwrap().to_string_lossy());
            drop(listener);
            // A process that another test starts has it, too, until its own program runs.
            testkit::until("the port is free", || holder(port).is_none());
        }
    }
}
