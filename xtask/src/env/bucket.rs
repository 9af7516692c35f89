//! The bucket of an environment's state, with its credentials.

use anyhow::anyhow;
use secrecy::{ExposeSecret as _, SecretString};

use super::Env;
use crate::clients::s3::{Bucket, Place};
use crate::config::Provider;
use crate::failure::Failure;
use crate::state::store::Store;

impl Env<'_> {
    pub(super) fn store_in_bucket(&self) -> Result<Store, Failure> {
        Ok(Store::bucket(self.state_bucket()?, self.store_prefix()))
    }

    /// The bucket of the stack's state, or of what a deploy keeps where there is no stack. Nothing is asked yet.
    pub fn state_bucket(&self) -> Result<Bucket, Failure> {
        let state = match self.environment.state() {
            Some(state) => state,
            None => &self.stack()?.state,
        };
        let secret = |name: &str| -> Result<SecretString, Failure> {
            self.state_key(name)?.ok_or_else(|| {
                let keys = match state.provider {
                    Provider::Scaleway => "SCW_ACCESS_KEY and SCW_SECRET_KEY",
                    Provider::Aws | Provider::R2 | Provider::Other => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                };
                Failure::Refused(anyhow!(
                    "the bucket {} needs an access key, and none is set\n  put {keys} into {} (mode 0600) or into the environment",
                    state.bucket,
                    self.file().file_name().unwrap_or_default()
                ))
            })
        };
        Ok(Bucket::new(&Place {
            bucket: &state.bucket,
            region: &state.region,
            endpoint: state.endpoint.as_deref(),
            amazon: state.provider == Provider::Aws,
            key: secret("AWS_ACCESS_KEY_ID")?.expose_secret(),
            secret: &secret("AWS_SECRET_ACCESS_KEY")?,
            token: self.state_key("AWS_SESSION_TOKEN")?.as_ref(),
            patience: &self.patience,
        }))
    }
}
