//! Why a TLS handshake with a service failed.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

/// Why a TLS handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The server ended it: it has no certificate for the name, or none yet.
    NoCertificate(String),
    /// The certificate is for these other names.
    OtherName(Vec<String>),
    /// No authority that this machine trusts has issued the certificate.
    UnknownAuthority,
    /// The certificate has expired, or is not valid yet.
    OutOfTime(&'static str),
    /// Another fault.
    Other(String),
}

impl Handshake {
    /// The failure of a handshake among the causes of an error; none if it failed before or after it.
    pub(super) fn of(error: &reqwest::Error) -> Option<Self> {
        if !error.is_connect() {
            return None;
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::from(error));
            }
            let wrapper = error.downcast_ref::<io::Error>();
            if wrapper.is_some_and(|it| matches!(it.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)) {
                return Some(Self::NoCertificate("it closed the connection".to_owned()));
            }
            // The source of an `io::Error` is not what it wraps, but the source of that.
            cause = match wrapper.and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

impl From<&rustls::Error> for Handshake {
    fn from(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::NoCertificate(format!("its alert is {alert:?}")),
            rustls::Error::InvalidCertificate(fault) => match fault {
                CertificateError::NotValidForName => Self::OtherName(Vec::new()),
                CertificateError::NotValidForNameContext { presented, .. } => {
                    Self::OtherName(presented.iter().map(|name| plain(name)).collect())
                }
                CertificateError::UnknownIssuer => Self::UnknownAuthority,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::OutOfTime("has expired"),
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::OutOfTime("is not valid yet")
                }
                _ => Self::Other(error.to_string()),
            },
            _ => Self::Other(error.to_string()),
        }
    }
}

/// rustls shows a name as `DnsName("a.example.org")`.
fn plain(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate(how) => {
                write!(f, "the server ended the TLS handshake ({how}), as it does while it has no certificate for the name")
            }
            Self::OtherName(names) if names.is_empty() => f.write_str("the certificate is for another name"),
            Self::OtherName(names) => write!(f, "the certificate is for another name: {}", names.join(", ")),
            Self::UnknownAuthority => f.write_str(
                "the certificate is of an authority that this machine does not trust (SSL_CERT_FILE names a file of trusted ones)",
            ),
            Self::OutOfTime(how) => write!(f, "the certificate {how}, by the clock of this machine"),
            Self::Other(why) => write!(f, "the TLS handshake failed: {why}"),
        }
    }
}
