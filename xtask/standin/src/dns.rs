//! A DNS server for the hosted zones of the Route 53 server, the names of containers and Route 53's name servers.

mod resolver;
mod server;
mod zones;

pub use self::resolver::Resolver;
pub use self::server::{listen, serve};
pub use self::zones::Zones;
