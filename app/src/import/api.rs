//! The requests of an import.

use std::{error::Error, str::FromStr, time::Duration};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, Uri,
    body::Frame,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use ulid::Ulid;

use super::{
    answer::{Failure, judge, no_answer, read},
    files::{MediaFile, ReadError},
};
use crate::http_client::{HttpClient, http_client};

/// Longer than the service works on a request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6 * 60);

/// In bytes.
const MAX_ANSWER: usize = 1 << 20;

/// What one request of a large file sends, in bytes: the service ends a request after five minutes.
const PART: u64 = 32 << 20;

/// The address of a service: `https://media.example.org`, perhaps with a path.
#[derive(Clone, Debug)]
pub struct Server {
    /// Without a slash at its end.
    base: String,
    https: bool,
}

/// A service, with the API key that its requests have.
pub struct Api {
    http: HttpClient<RequestBody>,
    server: Server,
    authorization: HeaderValue,
}

type RequestBody = UnsyncBoxBody<Bytes, ReadError>;

/// A media that has the bytes of a file.
#[derive(Debug, Deserialize)]
pub struct Sent {
    pub id: String,
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether the gallery had the bytes already.
    #[serde(default)]
    pub duplicate: bool,
}

/// How far an upload in parts is.
pub enum Progress {
    /// In bytes.
    Arrived(u64),
    /// All has arrived, and has become this media.
    Media(String),
    /// The service no longer has it.
    Gone,
}

impl FromStr for Server {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let uri: Uri = text.parse().context("it is not a URL such as https://media.example.org")?;
        let https = uri.scheme_str() == Some("https");
        ensure!(https || uri.scheme_str() == Some("http"), "it must begin with https:// or http://");
        let authority = uri.authority().context("it has no host")?;
        ensure!(!authority.as_str().contains('@') && uri.query().is_none(), "it must have no user, password or query");
        Ok(Self { base: text.trim_end_matches('/').to_owned(), https })
    }
}

impl Server {
    /// Whether others on the network can read what is sent.
    pub fn is_in_the_clear(&self) -> bool {
        let host = self.base.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        !self.https && !matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }

    pub fn as_str(&self) -> &str {
        &self.base
    }
}

impl Api {
    pub fn new(server: Server, key: &SecretString) -> anyhow::Result<Self> {
        let authorization = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()));
        let mut authorization = authorization.ok().context("the API key has characters that no API key has")?;
        authorization.set_sensitive(true);
        Ok(Self { http: http_client(server.https)?, server, authorization })
    }

    /// The scopes of the API key.
    pub async fn scopes(&self) -> Result<Vec<String>, Failure> {
        #[derive(Deserialize)]
        struct Me {
            scopes: Vec<String>,
        }
        let answer = judge(self.send(Method::GET, "/api/auth/me", HeaderMap::new(), empty()).await?)?;
        Ok(read::<Me>(&answer)?.scopes)
    }

    /// The media with these bytes, if the gallery has them.
    pub async fn find(&self, file: &MediaFile) -> Result<Option<Sent>, Failure> {
        let path = format!("/api/media/sha256/{}", hex::encode(file.sha256));
        let answer = self.send(Method::GET, &path, HeaderMap::new(), empty()).await?;
        if answer.status() == 404 {
            return Ok(None);
        }
        let found = read(&judge(answer)?)?;
        Ok(Some(Sent { duplicate: true, ..found }))
    }

    /// Sends a file by one request.
    pub async fn upload(&self, file: &MediaFile, name: &str) -> Result<Sent, Failure> {
        // No file can know it.
        let boundary = Ulid::new();
        let part = |header: &str| format!("--{boundary}\r\ncontent-disposition: form-data; {header}\r\n\r\n");
        let head = format!("{}{name}\r\n{}", part("name=\"name\""), part("name=\"file\"; filename=\"file\""));
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + file.size() + tail.len() as u64;
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, header(&format!("multipart/form-data; boundary={boundary}"))),
            (CONTENT_LENGTH, length.into()),
        ]);
        let [head, tail] = [head, tail].map(|text| stream::iter([Ok(Bytes::from(text))]));
        let body = StreamBody::new(head.chain(file.read(0, file.size())).chain(tail).map(frame));
        read(&judge(self.send(Method::POST, "/api/media", headers, body.boxed_unsync()).await?)?)
    }

    /// Creates an upload in parts. Returns its id.
    pub async fn create(&self, file: &MediaFile, name: &str) -> Result<String, Failure> {
        let mut headers = tus_headers();
        headers.insert("upload-length", file.size().into());
        headers.insert("upload-metadata", header(&format!("filename {}", BASE64_STANDARD.encode(name))));
        let answer = judge(self.send(Method::POST, "/api/uploads", headers, empty()).await?)?;
        // Only its id: the API key must not go to another address.
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
        let id = location.rsplit('/').next().unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Failure::Service("the service answered without the id of the upload".to_owned()));
        }
        Ok(id.to_owned())
    }

    /// How far an upload in parts is.
    pub async fn progress(&self, id: &str) -> Result<Progress, Failure> {
        let answer = self.send(Method::HEAD, &format!("/api/uploads/{id}"), tus_headers(), empty()).await?;
        if answer.status() == 404 {
            return Ok(Progress::Gone);
        }
        progress(&judge(answer)?)
    }

    /// Sends the next part of a file.
    pub async fn append(&self, id: &str, file: &MediaFile, offset: u64) -> Result<Progress, Failure> {
        let length = PART.min(file.size().saturating_sub(offset));
        let mut headers = tus_headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/offset+octet-stream"));
        headers.insert(CONTENT_LENGTH, length.into());
        headers.insert("upload-offset", offset.into());
        let body = StreamBody::new(file.read(offset, length).map(frame)).boxed_unsync();
        progress(&judge(self.send(Method::PATCH, &format!("/api/uploads/{id}"), headers, body).await?)?)
    }

    /// Adds tags to a media.
    pub async fn tag(&self, id: &str, tags: &[String]) -> Result<(), Failure> {
        let request = json!({ "ids": [id], "action": "tag", "tags": tags }).to_string();
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = Full::from(request).map_err(|never| match never {}).boxed_unsync();
        judge(self.send(Method::POST, "/api/media/bulk", headers, body).await?).map(drop)
    }

    /// Sends a request, and reads the whole answer, also that of an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Response<Bytes>, Failure> {
        let fatal = |error: &dyn std::fmt::Display| Failure::Fatal(format!("the request cannot be made: {error}"));
        let request = Request::builder().method(method).uri(format!("{}{path}", self.server.base));
        let mut request = request.body(body).map_err(|error| fatal(&error))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        let answer = async {
            let (parts, body) = self.http.request(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(Response::from_parts(parts, body.to_bytes()))
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| no_answer(&*error)),
            Err(_) => Err(Failure::Away("the service did not answer within six minutes".to_owned(), None)),
        }
    }
}

fn progress(answer: &Response<Bytes>) -> Result<Progress, Failure> {
    let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(media) = text("upload-media") {
        return Ok(Progress::Media(media.to_owned()));
    }
    let offset = text("upload-offset").and_then(|offset| offset.parse().ok());
    offset.map(Progress::Arrived).ok_or_else(|| Failure::Service("the answer has no Upload-Offset".to_owned()))
}

fn tus_headers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("tus-resumable"), HeaderValue::from_static("1.0.0"))])
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("it has ASCII characters only")
}

fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn frame(chunk: Result<Bytes, ReadError>) -> Result<Frame<Bytes>, ReadError> {
    chunk.map(Frame::data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_service_is_a_whole_url() {
        for good in ["https://media.example.org", "http://127.0.0.1:3000/", "https://example.org/media/"] {
            assert!(!good.parse::<Server>().unwrap().base.ends_with('/'), "{good}");
        }
        for bad in ["media.example.org", "ftp://x", "https://", "https://a:b@example.org", "https://x/?a=b", "/path"] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
        let in_the_clear = |url: &str| url.parse::<Server>().unwrap().is_in_the_clear();
        assert!(in_the_clear("http://media.example.org") && !in_the_clear("https://media.example.org"));
        assert!(!in_the_clear("http://[::1]:3000") && !in_the_clear("http://localhost"));
    }
}
