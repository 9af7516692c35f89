//! The certificate authority of the gateway. Its folder has `ca.pem`, which clients trust, and `ca-key.pem`.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// How long a certificate is valid, as those of the platform.
const DAYS: i64 = 90;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
    none: Arc<ServerConfig>,
    /// By name.
    made: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    /// Opens the authority in a folder. Makes the folder and the authority if they do not exist.
    pub fn open(folder: &Path) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let folder = fs_err::canonicalize(folder)?;
        let (certificate, key_file) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Stand-in CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = if certificate.exists() {
            let pem = fs_err::read_to_string(&key_file)?;
            KeyPair::from_pem(&pem).with_context(|| format!("{} is not a key", key_file.display()))?
        } else {
            let key = KeyPair::generate().context("make a key for the authority")?;
            set_validity(&mut params, 3650)?;
            write(&key_file, &key.serialize_pem(), 0o600)?;
            write(&certificate, &params.self_signed(&key).context("sign the authority's certificate")?.pem(), 0o644)?;
            key
        };
        let none = configured(Arc::new(NoCertificate))?;
        Ok(Self { issuer: Issuer::new(params, key), certificate, none, made: Mutex::default() })
    }

    /// The file that clients trust.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// TLS with a certificate for this name.
    pub fn config(&self, name: &str) -> Result<Arc<ServerConfig>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(name) {
            return Ok(Arc::clone(config));
        }
        let context = || format!("make a certificate for {name}");
        let key = KeyPair::generate().with_context(context)?;
        let mut params = CertificateParams::new([name.to_owned()]).with_context(context)?;
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, DAYS)?;
        let certificate = params.signed_by(&key, &self.issuer).with_context(context)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let certified = CertifiedKey::from_der(vec![certificate.der().clone()], key.into(), &default_provider());
        let config = configured(Arc::new(Only(Arc::new(certified.with_context(context)?))))?;
        made.insert(name.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    /// TLS whose handshake ends with an alert.
    pub fn no_certificate(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.none)
    }
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn configured(certificates: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().context("configure TLS")?.with_no_client_auth();
    let mut config = config.with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn named(name: &str) -> rcgen::DistinguishedName {
    let mut whole = rcgen::DistinguishedName::new();
    whole.push(DnType::CommonName, name);
    whole
}

/// From yesterday on, so a client whose clock is late accepts it.
fn set_validity(params: &mut CertificateParams, days: i64) -> Result<()> {
    let day = |days: i64| -> Result<Date> {
        Ok(Timestamp::now().to_zoned(TimeZone::UTC).date().checked_add(Span::new().days(days))?)
    };
    let midnight =
        |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    (params.not_before, params.not_after) = (midnight(day(-1)?), midnight(day(days)?));
    Ok(())
}

/// Writes a file that another process sees complete or not at all.
fn write(file: &Path, text: &str, mode: u32) -> Result<()> {
    let context = || format!("write {}", file.display());
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    temporary.write_all(text.as_bytes()).with_context(context)?;
    temporary.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).with_context(context)?;
    temporary.persist(file).with_context(context)?;
    Ok(())
}
