//! Different S3 servers for states.

use devservers::http::ask;
use devservers::moto::{Moto, Turn};
use devservers::versitygw::{REGION, Versitygw};

/// A server that no other test uses.
pub trait Storage: Sized {
    /// Starts a server. The error names what this machine lacks.
    fn start() -> anyhow::Result<Self>;
    fn endpoint(&self) -> String;
    fn make(&self, bucket: &str);
}

impl Storage for Versitygw {
    fn start() -> anyhow::Result<Self> {
        Self::start()
    }

    fn endpoint(&self) -> String {
        self.endpoint()
    }

    fn make(&self, bucket: &str) {
        self.bucket(bucket);
    }
}

impl Storage for Turn {
    fn start() -> anyhow::Result<Self> {
        Moto::turn()
    }

    fn endpoint(&self) -> String {
        Moto::endpoint(self)
    }

    fn make(&self, bucket: &str) {
        // moto reads the service's name in the signature, and does not verify the signature.
        let whose = format!(
            "AWS4-HMAC-SHA256 Credential=AKTEST/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
        );
        let authorization = [("Authorization", whose.as_str())];
        let answer = ask(&Moto::endpoint(self), "PUT", &format!("/{bucket}"), &authorization, "").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
