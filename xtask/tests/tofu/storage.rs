//! S3 servers of different make, for states.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::moto::Moto;
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
        let endpoint = self.endpoint();
        let address = endpoint.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        // It looks at the name of the service in the signature, and not at the signature.
        let whose = format!(
            "AWS4-HMAC-SHA256 Credential=AKTEST/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = format!(
            "PUT /{bucket} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {whose}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
