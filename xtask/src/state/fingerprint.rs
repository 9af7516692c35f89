//! The key of the fingerprints of secrets, where it is kept beside the records.

use anyhow::{Context as _, Result};

use super::store::Store;
use crate::secrets::FingerprintKey;

/// The object's key. In a folder only this user can read it.
pub(super) const KEY: &str = "fingerprint.key";

/// The key of a store; a new one if it has none. With a new one, every secret counts as changed once.
pub async fn key(store: &Store) -> Result<FingerprintKey> {
    if let Some(object) = store.get(KEY).await.context("read the key of fingerprints")? {
        return Ok(FingerprintKey::new(&object.bytes));
    }
    let put = store.put_if_absent(KEY, &FingerprintKey::random()?).await;
    put.context("write the key of fingerprints")?;
    // What is there now: another process may have written it.
    let object = store.get(KEY).await.context("read the key of fingerprints")?;
    Ok(FingerprintKey::new(&object.context("the key of fingerprints is gone right after it was written")?.bytes))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::state::store::scratch;

    #[tokio::test]
    async fn a_store_keeps_its_key_and_each_has_its_own() {
        let ((folder, one), (_other_folder, other)) = (scratch(), scratch());
        let value = SecretString::from("value");
        let of = async |store: &Store| key(store).await.unwrap().fingerprint("shop/local", "A", &value);
        assert_eq!(of(&one).await, of(&one).await);
        assert_ne!(of(&one).await, of(&other).await);
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs_err::metadata(folder.path().join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
