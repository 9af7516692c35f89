//! Where a test's store is.

use camino::Utf8PathBuf;
use devservers::moto::{Moto, Turn};
use devservers::versitygw::{self, Versitygw};
use secrecy::SecretString;
use testkit::or_skip;
use xtask::clients::patience::Patience;
use xtask::clients::s3::{self, Bucket};
use xtask::state::store::Store;

/// The bucket of these tests.
pub const BUCKET: &str = "states";

/// The environment of these tests.
pub const ENVIRONMENT: &str = "production";

/// A folder, or a bucket of a server that runs as long as this value lives.
pub enum Place {
    Folder(tempfile::TempDir),
    Versitygw(Box<Versitygw>),
    Moto(Turn),
}

impl Place {
    pub fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    /// None, and said so, where this machine cannot run it.
    pub fn versitygw(test: &str) -> Option<Self> {
        let server = or_skip(test, Versitygw::start())?;
        server.bucket(BUCKET);
        Some(Self::Versitygw(Box::new(server)))
    }

    /// None, and said so, where this machine cannot run it.
    pub fn moto() -> Option<Self> {
        let server = or_skip("moto", Moto::turn())?;
        let whose = format!(
            "AWS4-HMAC-SHA256 Credential=AKTEST/20260101/{}/s3/aws4_request, SignedHeaders=host, Signature=0",
            versitygw::REGION
        );
        let authorization = [("Authorization", whose.as_str())];
        let path = format!("/{BUCKET}");
        let made = devservers::http::ask(&server.endpoint(), "PUT", &path, &authorization, "").unwrap();
        assert_eq!(made.status, 200, "{}", made.text());
        Some(Self::Moto(server))
    }

    pub fn is_shared(&self) -> bool {
        !matches!(self, Self::Folder(_))
    }

    /// The store, as a machine of its own sees it.
    pub fn store(&self) -> Store {
        self.of(ENVIRONMENT)
    }

    /// The store of another environment.
    pub fn of(&self, environment: &str) -> Store {
        match self {
            Self::Folder(folder) => {
                let path = Utf8PathBuf::from_path_buf(folder.path().join(environment)).unwrap();
                Store::folder(path)
            }
            Self::Versitygw(server) => at(&server.endpoint(), environment),
            Self::Moto(server) => at(&server.endpoint(), environment),
        }
    }
}

/// The store in the bucket of the server at this address.
pub fn at(endpoint: &str, environment: &str) -> Store {
    Store::bucket(bucket(endpoint, BUCKET, versitygw::SECRET_KEY), format!("shop/{environment}"))
}

/// A bucket of the server at this address, by this secret key.
pub fn bucket(endpoint: &str, name: &str, secret: &str) -> Bucket {
    Bucket::new(&s3::Place {
        bucket: name,
        region: versitygw::REGION,
        endpoint: Some(endpoint),
        amazon: false,
        key: versitygw::ACCESS_KEY,
        secret: &SecretString::from(secret),
        token: None,
        patience: &Patience::default(),
    })
}
