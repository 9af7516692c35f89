//! The servers of a rehearsal. They end with this value.
//!
//! They listen on loopback addresses and on the one of the containers' network, which every user of this machine reaches. So none answers
//! without a secret that was made for this rehearsal, but DNS and the gateway, which are public elsewhere too.

mod database;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use devservers::registry::{Login, USER};
use devservers::versitygw::ACCESS_KEY;
use devservers::{Cloud, DockerRegistry, Moto, Versitygw};
use secrecy::ExposeSecret as _;
use xtask::fs::private_folder;
use xtask::secrets::generate;

use self::database::Database;
use crate::engine::Machine;
use crate::place::Place;
use crate::values::Access;

/// The stand-in's folder among those of the servers.
pub const STANDIN: &str = "stand-in";

/// What is started.
pub struct Wanted<'a> {
    /// Whether images go through a registry.
    pub registry: bool,
    /// Whether the service has a database.
    pub database: bool,
    /// What a stack needs; none for a Docker host.
    pub stack: Option<WantedByStack<'a>>,
}

/// What a stack needs.
pub struct WantedByStack<'a> {
    /// The region of the state's bucket.
    pub region: &'a str,
    /// Whether media are at AWS.
    pub media: bool,
    /// Where the platform's gateway listens, if this machine allows it.
    pub gateway: Option<SocketAddr>,
    /// The stand-in's program.
    pub standin: Utf8PathBuf,
}

/// The servers.
pub struct Servers {
    /// The image registry, if images go through one.
    pub registry: Option<RefCell<DockerRegistry>>,
    stack: Option<OfStack>,
    database: Option<Database>,
    keys: Keys,
}

/// The servers of a stack.
pub struct OfStack {
    /// The S3 server.
    pub storage: RefCell<Versitygw>,
    /// The providers and the platform.
    pub cloud: RefCell<Cloud>,
    /// Where the stand-in's other servers listen.
    pub platform: Platform,
    /// Route 53.
    zones: Moto,
    /// S3 and SQS for media at AWS. Containers reach it.
    media: Option<Moto>,
}

/// The secrets that they accept.
struct Keys {
    registry: String,
    /// Of the platform's API and, as at Scaleway, of the S3 server.
    api: String,
    /// The path of Amazon's services.
    aws: String,
}

/// Where the platform and DNS are stood in for.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The platform's API.
    pub api: String,
    /// The DNS server.
    pub dns: SocketAddr,
    /// The gateway, by which containers are reached under their names.
    pub gateway: Option<SocketAddr>,
    /// The certificate of the authority that signs the gateway's.
    pub ca: Option<Utf8PathBuf>,
}

impl Servers {
    /// Starts all of them.
    pub async fn start(place: &Place, engine: &Machine, wanted: &Wanted<'_>) -> Result<Self> {
        let keys = Keys::make()?;
        let registry = match wanted.registry {
            true => Some(DockerRegistry::start(Login::Own(keys.registry.clone())).context("start an image registry")?),
            false => None,
        };
        let database = match wanted.database {
            true => Some(Database::start(place, engine.bridge().await?).await.context("start a PostgreSQL")?),
            false => None,
        };
        let stack = match &wanted.stack {
            Some(of_stack) => {
                let registry = registry.as_ref().context("the images of a stack go through a registry")?;
                let host = if of_stack.media { Some(engine.bridge().await?) } else { None };
                Some(OfStack::start(place, &keys, host, &registry.address, of_stack)?)
            }
            None => None,
        };
        Ok(Self { registry: registry.map(RefCell::new), stack, database, keys })
    }

    /// Those of a stack.
    pub fn of_stack(&self) -> Result<&OfStack> {
        self.stack.as_ref().context("a Docker host has no stack")
    }

    /// The registry.
    pub fn registry(&self) -> Result<&RefCell<DockerRegistry>> {
        self.registry.as_ref().context("the environment has no registry")
    }

    /// What they are reached with.
    pub fn access(&self) -> Access {
        let registry = self.registry.as_ref().map(|registry| registry.borrow().address.clone());
        Access {
            storage: (ACCESS_KEY.to_owned(), self.keys.api.clone()),
            registry: registry.map(|address| (address, USER.to_owned(), self.keys.registry.clone())),
            api: self.keys.api.clone(),
            aws: self.stack.as_ref().and_then(|stack| Some(stack.media.as_ref()?.endpoint())),
            database: self.database.as_ref().map(Database::url),
        }
    }

    /// The variables by which the toolkit and OpenTofu find them.
    pub fn variables(&self, bundle: Option<&Utf8PathBuf>) -> Vec<(String, String)> {
        // Nothing is reached through a proxy: all of it is on this machine.
        let mut variables = vec![("NO_PROXY", "*".to_owned())];
        if let Some(OfStack { cloud, zones, platform: Platform { api, dns, .. }, .. }) = &self.stack {
            variables.extend([
                ("TF_REATTACH_PROVIDERS", cloud.borrow().addresses()),
                ("AWS_ENDPOINT_URL_ROUTE_53", zones.endpoint()),
                ("SCW_API_URL", api.clone()),
                ("DNS_SERVER", dns.to_string()),
            ]);
        }
        variables.extend(bundle.map(|bundle| ("SSL_CERT_FILE", bundle.to_string())));
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What is started, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.stack.as_ref().map(|stack| format!("S3 at {}", stack.storage.borrow().endpoint())));
        lines.extend(self.registry.as_ref().map(|registry| format!("registry at {}", registry.borrow().address)));
        lines.extend(self.database.as_ref().map(|database| format!("PostgreSQL with TLS at {}", database.address)));
        if let Some(OfStack { zones, media, platform: Platform { api, dns, gateway, .. }, .. }) = &self.stack {
            let without_secret = |moto: &Moto| moto.endpoint().replace(&self.keys.aws, "…");
            lines.push(format!("Route 53 at {}", without_secret(zones)));
            lines.extend(media.as_ref().map(|moto| format!("S3 and SQS of AWS at {}", without_secret(moto))));
            lines.extend([format!("the platform's API at {api}"), format!("DNS at {dns}")]);
            lines.extend(gateway.as_ref().map(|gateway| format!("the platform's gateway at {gateway}")));
        }
        lines
    }
}

impl OfStack {
    fn start(
        place: &Place,
        keys: &Keys,
        media: Option<Ipv4Addr>,
        registry: &str,
        wanted: &WantedByStack<'_>,
    ) -> Result<Self> {
        let storage = Versitygw::start_in(wanted.region, &keys.api).context("start an S3 server")?;
        // The toolkit signs no request that leaves the machine without TLS: Route 53 is at a loopback address.
        let zones = Moto::start_secret(Ipv4Addr::LOCALHOST, &keys.aws).context("start a Route 53")?;
        let media = media.map(|host| Moto::start_secret(host, &keys.aws).context("start an S3 and SQS of AWS"));
        let media = media.transpose()?;
        // In a folder that has a name: what it has put into the engine is found by it, also after a kill.
        let standin = place.servers.join(STANDIN);
        private_folder(&standin)?;
        let mut cloud = Cloud::builder(wanted.standin.as_std_path())
            .folder(standin.as_std_path())
            .variable("STANDIN_DOCKER", "1")
            .variable("STANDIN_REGISTRY", registry)
            .variable("STANDIN_S3_ENDPOINT", &storage.endpoint())
            .variable("STANDIN_S3_ACCESS_KEY", ACCESS_KEY)
            .variable("STANDIN_S3_SECRET_KEY", &keys.api)
            .variable("STANDIN_S3_REGION", wanted.region)
            .variable("STANDIN_ROUTE53_ENDPOINT", &zones.endpoint())
            .variable("STANDIN_API_KEY", &keys.api)
            .api()
            .dns();
        if let Some(media) = &media {
            cloud = cloud.variable("STANDIN_AWS_ENDPOINT", &media.endpoint());
        }
        if let Some(gateway) = wanted.gateway {
            cloud = cloud.gateway(gateway);
        }
        let cloud = cloud.start().context("start the stand-in")?;
        let platform = Platform::of(&cloud, wanted.gateway)?;
        Ok(Self { storage: RefCell::new(storage), cloud: RefCell::new(cloud), platform, zones, media })
    }

    /// The address of Route 53.
    pub fn zones(&self) -> String {
        self.zones.endpoint()
    }
}

impl Keys {
    fn make() -> Result<Self> {
        let make = || Ok::<_, anyhow::Error>(generate()?.expose_secret().to_owned());
        let digits = make()?;
        let part = |from: usize, to: usize| &digits[from..to];
        // Scaleway's secret keys are UUIDs.
        let api = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
        Ok(Self { registry: make()?, aws: make()?, api })
    }
}

impl Platform {
    fn of(cloud: &Cloud, gateway: Option<SocketAddr>) -> Result<Self> {
        let ca = || Utf8PathBuf::try_from(cloud.ca()?).context("the path of the authority's certificate");
        Ok(Self { api: cloud.api()?, dns: cloud.dns()?, gateway, ca: gateway.map(|_| ca()).transpose()? })
    }
}
