//! URLs of a CloudFront distribution, signed with a canned policy (CloudFront Developer Guide, "Create a signed URL using a
//! canned policy").
//!
//! The hash is SHA-256, which CloudFront has accepted since April 2026 where the URL names it. Without a name it is SHA-1.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::anyhow;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use lru::LruCache;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    settings::CdnSettings,
    storage::{SignedUrl, StorageError, StorageKey},
};

/// How many URLs are kept. Each takes about a kilobyte.
const KEPT: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Cdn {
    settings: Arc<CdnSettings>,
    /// URLs by their policy.
    recent: Arc<Mutex<LruCache<String, String>>>,
    /// A signature keeps a processor busy for about a millisecond: as many are made at once as there are processors.
    signing: Arc<Semaphore>,
}

impl Cdn {
    pub(super) fn new(settings: CdnSettings) -> Self {
        Self {
            settings: settings.into(),
            recent: Arc::new(Mutex::new(LruCache::new(KEPT))),
            signing: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))),
        }
    }

    /// The URL stays the same until half of its life is over, and every instance makes the same one: browsers can keep what
    /// they got there. The distribution ignores `version`.
    pub(super) async fn signed_url(
        &self,
        key: StorageKey,
        version: &str,
        life: Duration,
    ) -> Result<SignedUrl, StorageError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let expires = expiry(now, life.as_secs());
        let url = self.signed(format!("{}/{key}?v={version}", self.settings.url), expires).await?;
        Ok(SignedUrl { url, expires_at: (UNIX_EPOCH + Duration::from_secs(expires)).into() })
    }

    /// `resource` has a query. Nothing in it is escaped by JSON.
    async fn signed(&self, resource: String, expires: u64) -> Result<String, StorageError> {
        let policy = format!(
            r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
        );
        if let Some(url) = self.recent().get(&policy) {
            return Ok(url.clone());
        }
        let turn = self.signing.clone().acquire_owned().await;
        let turn = turn.map_err(|closed| StorageError::Internal(closed.into()))?;
        let settings = self.settings.clone();
        let signing = spawn_blocking(move || {
            let signature = sign(&settings.private_key, policy.as_bytes());
            drop(turn);
            (policy, signature)
        });
        let (policy, signature) = signing.await.map_err(|panic| StorageError::Internal(panic.into()))?;
        let (signature, id) = (signature?, &self.settings.key_pair_id);
        let url = format!("{resource}&Expires={expires}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256");
        self.recent().put(policy, url.clone());
        Ok(url)
    }

    fn recent(&self) -> MutexGuard<'_, LruCache<String, String>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a URL expires that is asked for now, in seconds since 1970: after more than half of its life.
fn expiry(now: u64, life: u64) -> u64 {
    now - now % (life / 2).max(1) + life
}

/// In the base64 of CloudFront, whose three characters of its own have no meaning in a query.
fn sign(key: &RsaKeyPair, message: &[u8]) -> Result<String, StorageError> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
        .map_err(|_| StorageError::Internal(anyhow!("cannot sign with CDN_PRIVATE_KEY")))?;
    Ok(BASE64_STANDARD.encode(signature).replace('+', "-").replace('=', "_").replace('/', "~"))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

    use super::*;
    use crate::media::MediaId;

    fn cdn() -> Cdn {
        let der = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("../../tests/keys/cloudfront.pem")).unwrap();
        Cdn::new(CdnSettings {
            url: "https://d111111abcdef8.cloudfront.net".into(),
            key_pair_id: "K2JCJMDEHXQW5F".into(),
            private_key: RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap().into(),
        })
    }

    /// RSA signatures by PKCS #1 1.5 have nothing random. This one was made by `CloudFrontSigner` of botocore 1.44.8 with the key of
    /// the tests, by the Python package cryptography and its SHA-256; that signer does not name the hash.
    #[tokio::test]
    async fn urls_are_those_of_botocore() {
        let resource = "https://d111111abcdef8.cloudfront.net/uploads/01ARZ3NDEKTSV4RRFFQ69G5FAV?v=1";
        let url = cdn().signed(resource.into(), 1_767_290_400).await.unwrap();
        let signature = "dn8OL3aZ45xwgCGcwyqEh-3x4Sv3plWbkRfzG60zc2SO-~klPFWKHOFIWklzILShHaulFT5okkvohqSaosuVDnZ824n-FRkY4JVdV6jmwX\
                         UOBjB42HZByOasc0Z0BjqwLL5CsS6aCcuiXCNWORPHVUH3WFslwCZ5lRzx9jpvstxhT2HKH18XZpWexS9hyKQcu8jO~t3mZEFQKjWiN~z\
                         vhFCfWaEL3laE8DaTgabo2rAhDm0rMTqIVb16VOKTDguJuZ72lEUdw7l5VklRIM0-HtriM-FZ~5WMeZghWio-4jMiUlUzxcu6nngnpq8y\
                         VqMj0LPcE8YSd6A0DMpy3msMWQ__";
        assert_eq!(
            url,
            format!(
                "{resource}&Expires=1767290400&Signature={signature}&Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256"
            )
        );
    }

    #[test]
    fn a_url_is_reused_while_more_than_half_of_its_life_is_left() {
        let began = 1_700_000_000 - 1_700_000_000 % 300;
        for now in [began, began + 1, began + 299] {
            let expires = expiry(now, 600);
            assert_eq!(expires, began + 600);
            assert!(expires - now > 300 && expires - now <= 600);
        }
        assert_eq!(expiry(began + 300, 600), began + 900);
    }

    #[tokio::test]
    async fn instances_agree_and_a_kept_url_is_not_signed_again() {
        let (one, other, key) = (cdn(), cdn(), StorageKey::Thumbnail(MediaId::generate()));
        let resource = || format!("https://d111111abcdef8.cloudfront.net/{key}?v=1");
        let url = one.signed(resource(), 2_000_000_000).await.unwrap();
        assert_eq!(other.signed(resource(), 2_000_000_000).await.unwrap(), url);
        // Without a turn to sign, only what is kept is answered.
        one.signing.close();
        assert_eq!(one.signed(resource(), 2_000_000_000).await.unwrap(), url);
        one.signed(resource(), 2_000_000_001).await.unwrap_err();
        assert_ne!(other.signed(resource(), 2_000_000_001).await.unwrap(), url);
    }
}
