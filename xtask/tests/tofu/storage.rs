//! S3 servers of different make, for states.

use crate::moto::Moto;
use crate::proxy::ask;
use crate::versitygw::{REGION, Versitygw};

/// A server of a test's own.
pub trait Storage: Sized {
    /// Starts one. Fails with what this machine lacks.
    fn start() -> Result<Self, String>;
    /// Its address.
    fn endpoint(&self) -> String;
    /// Makes a bucket.
    fn make(&self, bucket: &str);
}

impl Storage for Versitygw {
    fn start() -> Result<Self, String> {
        Self::start()
    }

    fn endpoint(&self) -> String {
        self.endpoint()
    }

    fn make(&self, bucket: &str) {
        self.bucket(bucket);
    }
}

impl Storage for Moto {
    fn start() -> Result<Self, String> {
        Self::start()
    }

    fn endpoint(&self) -> String {
        self.endpoint()
    }

    fn make(&self, bucket: &str) {
        // It looks at the name of the service in the signature, and not at the signature.
        let whose = format!(
            "AWS4-HMAC-SHA256 Credential=AKTEST/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
        );
        let (status, said) =
            ask(&self.endpoint(), "PUT", &format!("/{bucket}"), &[("Authorization", whose.as_str())], "");
        assert_eq!(status, 200, "{said}");
    }
}
