//! A bounded load on the service's public address, while it is deployed.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use futures_util::future::join_all;
use reqwest::{Certificate, Client, Url};

/// How many clients ask at a time, and how long each pauses between two requests.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(25);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the clients saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that were answered with 200.
    pub answered: usize,
    /// All others, with the first one's reason.
    pub failed: usize,
    /// Why the first one failed.
    pub first: Option<String>,
}

/// Where the load goes.
pub struct Public {
    client: Client,
    url: Url,
}

impl Public {
    /// An address, whose name leads to the gateway where there is one. Its certificate must be of the authority `ca`.
    pub fn new(url: &str, gateway: Option<SocketAddr>, ca: Option<&Utf8Path>) -> Result<Self> {
        let url: Url = url.parse().with_context(|| format!("{url} is an address"))?;
        let mut client = Client::builder().no_proxy().timeout(PATIENCE);
        // Every request has a connection of its own, as those of different users have.
        client = client.pool_max_idle_per_host(0);
        if let (Some(gateway), Some(host)) = (gateway, url.host_str()) {
            client = client.resolve(host, gateway);
        }
        if let Some(ca) = ca {
            let ca = Certificate::from_pem(&fs_err::read(ca)?).context("read the authority's certificate")?;
            client = client.tls_certs_only([ca]);
        }
        Ok(Self { client: client.build().context("make a client")?, url })
    }

    /// One request: its status and body.
    pub async fn get(&self) -> Result<(u16, String)> {
        let answer = self.client.get(self.url.clone()).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Asks again and again until `work` has ended.
    pub async fn while_it_runs<T>(&self, work: impl Future<Output = T>) -> (T, Load) {
        let (load, over) = (Cell::new(Load::default()), Cell::new(false));
        let client = async || {
            while !over.get() {
                let asked = self.get().await;
                let mut seen = load.take();
                match asked {
                    Ok((200, _)) => seen.answered += 1,
                    Ok((status, _)) => seen.fail(format!("status {status}")),
                    Err(error) => seen.fail(format!("{error:#}")),
                }
                load.set(seen);
                tokio::time::sleep(PAUSE).await;
            }
        };
        let clients = join_all((0..CLIENTS).map(|_| client()));
        let work = async {
            let ended = work.await;
            over.set(true);
            ended
        };
        let (ended, _) = tokio::join!(work, clients);
        (ended, load.take())
    }
}

impl Load {
    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.first.get_or_insert(why);
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests under way, {} failed", self.answered + self.failed, self.failed)?;
        self.first.as_ref().map_or(Ok(()), |first| write!(f, " (the first: {first})"))
    }
}
