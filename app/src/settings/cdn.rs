//! The CloudFront distribution in front of the bucket.

use std::sync::Arc;

use ring::signature::RsaKeyPair;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};

use super::registry::{Kind, Registry};

/// The size of the key, in bytes: CloudFront takes RSA keys of 2048 bits and no others
/// (CloudFront Developer Guide, "Specify signers that can create signed URLs").
const KEY_BYTES: usize = 256;

/// Where browsers get the bucket's objects, and what signs the URLs.
#[derive(Clone, Debug)]
pub struct CdnSettings {
    /// Without a slash at its end.
    pub url: String,
    /// CloudFront's id of the public key.
    pub key_pair_id: String,
    pub private_key: Arc<RsaKeyPair>,
}

/// `None` inside if no distribution is named. `is_public` tells that everyone can read the bucket.
pub(super) fn declare(registry: &mut Registry, is_public: bool) -> Option<Option<CdnSettings>> {
    let given = ["CDN_URL", "CDN_KEY_PAIR_ID", "CDN_PRIVATE_KEY"].into_iter().find(|name| registry.has(name));
    let because = given.map(|name| format!("{name} is set")).unwrap_or_default();
    let url = registry
        .setting(
            "CDN_URL",
            Kind::Url,
            "URL of the CloudFront distribution that delivers the bucket's objects by signed URLs, valid for 1 hour, such as https://d111111abcdef8.cloudfront.net or its own domain. Needs the other CDN_… settings, and no S3_PUBLIC_URL",
        )
        .required_if(given.is_some(), &because, |text| match is_public {
            true => Err("S3_PUBLIC_URL to be unset: either everyone can read the objects, or their URLs are signed"),
            false => https_url(text),
        });
    let key_pair_id = registry
        .setting(
            "CDN_KEY_PAIR_ID",
            Kind::Text,
            "CloudFront's id of the public key of CDN_PRIVATE_KEY, such as K2JCJMDEHXQW5F",
        )
        .required_if(given.is_some(), &because, |text| {
            let fits = text.chars().all(|c| c.is_ascii_alphanumeric());
            fits.then(|| text.to_owned()).ok_or("letters and digits")
        });
    let private_key = registry
        .setting(
            "CDN_PRIVATE_KEY",
            Kind::RsaKey,
            "Private key that signs URLs for CloudFront: RSA of 2048 bits, in PEM, as `cargo xtask bootstrap signing-key` makes it",
        )
        .secret()
        .required_if(given.is_some(), &because, rsa_key);
    let (url, key_pair_id, private_key) = (url?, key_pair_id?, private_key?);
    if given.is_none() {
        return Some(None);
    }
    // What is missing is a problem that is already reported.
    Some(Some(CdnSettings { url: url?, key_pair_id: key_pair_id?, private_key: private_key? }))
}

/// Its characters stand for themselves in a URL and in the JSON of a policy.
fn https_url(text: &str) -> Result<String, &'static str> {
    let expected = "a URL such as https://d111111abcdef8.cloudfront.net, of letters, digits and - . _ ~ : /";
    let rest = text.strip_prefix("https://").ok_or(expected)?.trim_end_matches('/');
    let fits = rest.starts_with(|c: char| c.is_ascii_alphanumeric())
        && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:/".contains(c));
    fits.then(|| format!("https://{rest}")).ok_or(expected)
}

fn rsa_key(pem: &str) -> Result<Arc<RsaKeyPair>, &'static str> {
    let expected = "an RSA private key of 2048 bits, in PEM: -----BEGIN PRIVATE KEY----- or RSA PRIVATE KEY";
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(expected),
    };
    key.ok().filter(|key| key.public().modulus_len() == KEY_BYTES).map(Arc::new).ok_or(expected)
}

#[cfg(test)]
mod tests {
    use ring::signature::KeyPair as _;

    use super::*;
    use crate::settings::{Settings, StorageSettings};

    /// For tests only.
    const KEY: &str = include_str!("../../tests/keys/cloudfront.pem");

    const CDN: [(&str, &str); 3] =
        [("CDN_URL", "https://cdn.example.com/"), ("CDN_KEY_PAIR_ID", "K2JCJMDEHXQW5F"), ("CDN_PRIVATE_KEY", KEY)];

    /// The distribution, or the names of the settings with problems and all of the text.
    fn read(more: &[(&str, &str)]) -> Result<Option<CdnSettings>, (Vec<&'static str>, String)> {
        let others = [
            ("DATABASE_URL", "postgres://u@localhost/db"),
            ("JWT_SECRET", "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj"),
            ("BOOTSTRAP_TOKEN", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
            ("STORAGE_BACKEND", "s3"),
            ("S3_BUCKET", "x"),
            ("S3_REGION", "x"),
            ("S3_ACCESS_KEY_ID", "x"),
            ("S3_SECRET_ACCESS_KEY", "x"),
            ("SPOOL_DIR", "/x"),
        ];
        let vars = others.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        match Settings::from_vars(vars) {
            Ok(settings) => match settings.storage {
                StorageSettings::S3(s3) => Ok(s3.cdn),
                StorageSettings::Local { .. } => panic!("another backend"),
            },
            Err(problems) => Err((problems.0.iter().map(|it| it.name).collect(), problems.to_string())),
        }
    }

    #[test]
    fn a_distribution_is_whole_or_not_there() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("CDN_URL", ""), ("CDN_PRIVATE_KEY", "")]).unwrap().is_none(), "empty is unset");
        let whole = read(&CDN).unwrap().unwrap();
        assert_eq!((&*whole.url, &*whole.key_pair_id), ("https://cdn.example.com", "K2JCJMDEHXQW5F"));
        for (missing, _) in CDN {
            let rest: Vec<_> = CDN.into_iter().filter(|(name, _)| *name != missing).collect();
            let (names, text) = read(&rest).unwrap_err();
            assert_eq!(names, [missing]);
            assert!(text.contains(&format!("{missing} is not set, and CDN_")), "{text}");
        }
        let (names, text) = read(&[&CDN[..], &[("S3_PUBLIC_URL", "https://public.example.com")]].concat()).unwrap_err();
        assert_eq!(names, ["CDN_URL"]);
        assert!(text.contains("expected S3_PUBLIC_URL to be unset"), "{text}");
    }

    #[test]
    fn wrong_values_are_refused_and_the_key_is_not_shown() {
        // Of the same length as the real one, but its parts do not fit together.
        let damaged = KEY.replacen(&KEY[900..904], "AAAA", 1);
        let short = include_str!("../../tests/keys/rsa_1024.pem");
        let elliptic = include_str!("../../tests/keys/p256.pem");
        let cut = &KEY[..KEY.len() / 2];
        let cases = [
            ("CDN_URL", "http://cdn.example.com"),
            ("CDN_URL", "https://"),
            ("CDN_URL", "https://cdn.example.com/?a=b"),
            ("CDN_URL", "https://cdn.example.com/\"},"),
            ("CDN_KEY_PAIR_ID", "K2&Expires=9"),
            ("CDN_PRIVATE_KEY", "sentinel"),
            ("CDN_PRIVATE_KEY", &damaged),
            ("CDN_PRIVATE_KEY", short),
            ("CDN_PRIVATE_KEY", elliptic),
            ("CDN_PRIVATE_KEY", cut),
        ];
        for (name, value) in cases {
            let mut vars = CDN.to_vec();
            vars.retain(|(other, _)| *other != name);
            vars.push((name, value));
            let (names, text) = read(&vars).expect_err(value);
            assert_eq!(names, [name], "{value}");
            let shown = text.contains("PRIVATE KEY-----\nM") || text.contains("sentinel");
            assert!(!shown, "{text}");
        }
        assert!(!format!("{:?}", read(&CDN).unwrap()).contains("MII"));
    }

    #[test]
    fn both_forms_of_a_key_are_read() {
        let pkcs1 = include_str!("../../tests/keys/cloudfront_pkcs1.pem");
        let public = |pem| rsa_key(pem).unwrap().public_key().as_ref().to_vec();
        assert!(public(KEY) == public(pkcs1));
    }
}
