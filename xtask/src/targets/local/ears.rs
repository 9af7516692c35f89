//! Where a candidate listens. A service that opens a port of its own never sees a request on the socket that it was given.

use std::net::SocketAddr;
use std::time::Duration;

use crate::clients::service::Service;
use crate::tools::port;

/// Before the first look, and between two. Most services are ready before it.
const PAUSE: Duration = Duration::from_secs(1);

/// A process, and the socket that it was given.
#[derive(Clone, Debug)]
pub struct Ears {
    /// The process.
    pub process: u32,
    /// The socket's address.
    pub given: SocketAddr,
    /// The path of the readiness endpoint.
    pub readiness: String,
}

impl Ears {
    /// The addresses on which the process listens besides the socket that it was given.
    pub async fn others(&self) -> Vec<SocketAddr> {
        let (process, given) = (self.process, self.given);
        let look = move || port::listening(process).into_iter().filter(|address| *address != given).collect();
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Resolves when the process answers the readiness request with success on another address. Meant to run beside a question
    /// on the socket that it was given.
    pub async fn answer_elsewhere(&self) -> SocketAddr {
        loop {
            tokio::time::sleep(PAUSE).await;
            for address in self.others().await {
                if let Ok(service) = Service::at(address, &self.readiness)
                    && service.ask().await.is_success()
                {
                    return address;
                }
            }
        }
    }
}
