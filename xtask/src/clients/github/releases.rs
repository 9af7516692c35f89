//! Releases, their assets and their tags.

use http::{Method, header};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use octocrab::OctoBody;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::send::other;
use super::{GitHub, GitHubError, Result};

/// The largest asset that is read, in bytes.
const MAX_ASSET: usize = 64 << 20;

/// A release. A draft has no tag yet, and only those who may write see it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// For the API.
    pub id: u64,
    /// The tag that it has, or will have when it is published.
    pub tag_name: String,
    /// The commit or branch that the tag is made of, if it is not there yet.
    pub target_commitish: String,
    /// The notes.
    pub body: Option<String>,
    /// Whether it is not published yet.
    pub draft: bool,
    /// Whether it is a pre-release.
    pub prerelease: bool,
    /// When its commit was made.
    pub created_at: Timestamp,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// Its page.
    pub html_url: String,
    /// Where assets are sent to, with a template of the query at its end.
    pub upload_url: String,
    /// Its files.
    pub assets: Vec<Asset>,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Asset {
    /// For the API.
    pub id: u64,
    /// The file's name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// `uploaded`; anything else is what is left of an upload that broke off.
    pub state: String,
    /// `sha256:<hex>`, where GitHub says it.
    pub digest: Option<String>,
}

/// A release to be made: a draft, so that its assets are complete when it is published. An immutable release takes none later.
#[derive(Clone, Debug, Serialize)]
pub struct NewRelease<'a> {
    /// The tag.
    pub tag_name: &'a str,
    /// 40 hexadecimal digits.
    pub target_commitish: &'a str,
    /// The title.
    pub name: &'a str,
    /// The notes, in Markdown.
    pub body: &'a str,
}

impl GitHub {
    /// Every release, newest first, drafts too.
    pub async fn releases(&self) -> Result<Vec<Release>> {
        self.list("/releases", None, "listing the releases").await
    }

    /// The release with a tag: the published one, else a draft.
    pub async fn release(&self, tag: &str) -> Result<Option<Release>> {
        let what = format!("reading the release {tag}");
        if let Some(published) = self.find(&format!("/releases/tags/{}", encoded(tag)), &what).await? {
            return Ok(Some(published));
        }
        Ok(self.releases().await?.into_iter().find(|release| release.tag_name == tag))
    }

    /// The release that is marked as the latest.
    pub async fn latest_release(&self) -> Result<Option<Release>> {
        self.find("/releases/latest", "reading the latest release").await
    }

    /// Makes a draft of a pre-release, or returns the release with this tag.
    pub async fn draft_release(&self, new: &NewRelease<'_>) -> Result<Release> {
        let mut body = json!(new);
        body["draft"] = true.into();
        body["prerelease"] = true.into();
        body["make_latest"] = "false".into();
        let what = format!("making the release {}", new.tag_name);
        self.create("/releases", &body, &what, async || self.release(new.tag_name).await).await
    }

    /// Publishes a draft as a pre-release, which makes its tag.
    pub async fn publish_release(&self, release: &Release) -> Result<Release> {
        let body = json!({ "draft": false, "prerelease": true, "make_latest": "false" });
        self.edit(release, &body, "publishing").await
    }

    /// Makes a pre-release the latest release, which starts the workflows of the event `released`; with other notes, if they are given.
    pub async fn promote_release(&self, release: &Release, notes: Option<&str>) -> Result<Release> {
        let mut body = json!({ "prerelease": false, "make_latest": "true" });
        if let Some(notes) = notes {
            body["body"] = notes.into();
        }
        self.edit(release, &body, "promoting").await
    }

    async fn edit(&self, release: &Release, body: &Value, verb: &str) -> Result<Release> {
        let what = format!("{verb} the release {}", release.tag_name);
        self.call(Method::PATCH, &format!("/releases/{}", release.id), Some(body), &what).await
    }

    /// Deletes a release with its assets. The tag stays.
    pub async fn delete_release(&self, release: &Release) -> Result<()> {
        self.delete(&format!("/releases/{}", release.id), &format!("deleting the release {}", release.tag_name)).await
    }

    /// Adds a file to a release. What is left of an upload that broke off is replaced.
    pub async fn upload_asset(&self, release: &Release, name: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let what = format!("adding {name} to the release {}", release.tag_name);
        let base = release.upload_url.split('{').next().unwrap_or_default();
        let refused = || GitHubError::Other {
            what: what.clone(),
            why: format!("GitHub names {base} for it, which is not its own"),
        };
        let base = Url::parse(base).ok().filter(|base| self.takes_files(base)).ok_or_else(refused)?;
        let uri = format!("{base}?name={}", encoded(name));
        let mut attempts = self.attempts();
        loop {
            let Err(failed) = self.send_file(&uri, media_type, bytes, &what).await else { return Ok(()) };
            let wait = failed.passes();
            if wait.is_none() && !matches!(failed.error, GitHubError::Exists { .. }) {
                return Err(failed.error);
            }
            let there = self.assets(release).await?.into_iter().find(|asset| asset.name == name);
            match there {
                Some(asset) if asset.state == "uploaded" && asset.size == bytes.len() as u64 => return Ok(()),
                Some(asset) => self.delete_asset(&asset).await?,
                None => {}
            }
            if !attempts.again(wait.flatten()).await {
                return Err(failed.error);
            }
        }
    }

    /// Whether files, and with them the token, may be sent to this address: GitHub's own host for them, or the API's.
    fn takes_files(&self, address: &Url) -> bool {
        let (api, other) = (self.api.host_str().unwrap_or_default(), address.host_str().unwrap_or_default());
        let is_own = other == api || other == api.replacen("api.", "uploads.", 1);
        is_own && address.scheme() == self.api.scheme()
    }

    /// The files of a release.
    pub async fn assets(&self, release: &Release) -> Result<Vec<Asset>> {
        let what = format!("listing the files of {}", release.tag_name);
        self.list(&format!("/releases/{}/assets", release.id), None, &what).await
    }

    /// Deletes a file of a release.
    pub async fn delete_asset(&self, asset: &Asset) -> Result<()> {
        self.delete(&format!("/releases/assets/{}", asset.id), &format!("deleting the file {}", asset.name)).await
    }

    /// The bytes of a file of a release.
    pub async fn asset(&self, asset: &Asset) -> Result<Vec<u8>> {
        let path = format!("/releases/assets/{}", asset.id);
        self.download(&path, "application/octet-stream", &format!("reading the file {}", asset.name)).await
    }

    /// The bytes behind a path, which GitHub redirects to its storage: without the token.
    pub(super) async fn download(&self, path: &str, accept: &str, what: &str) -> Result<Vec<u8>> {
        let mut attempts = self.attempts();
        let (head, body) = loop {
            let request = http::Request::builder()
                .uri(format!("/repos/{}{path}", self.repository))
                .header(header::ACCEPT, accept)
                .body(OctoBody::empty())
                .map_err(|error| other(what, &error))?;
            match self.exchange(request, what).await {
                Ok(answer) => break answer,
                Err(failed) => {
                    let Some(wait) = failed.passes() else { return Err(failed.error) };
                    if !attempts.again(wait).await {
                        return Err(failed.error);
                    }
                }
            }
        };
        let Some(elsewhere) = head.headers.get(header::LOCATION) else { return Ok(body) };
        let refused = |why: &str| GitHubError::Other { what: what.to_owned(), why: why.to_owned() };
        let elsewhere = elsewhere.to_str().ok().and_then(|url| Url::parse(url).ok());
        let elsewhere = elsewhere.ok_or_else(|| refused("GitHub redirects to an invalid URL"))?;
        if elsewhere.scheme() != "https" && !crate::clients::registry::http::is_loopback(&elsewhere) {
            return Err(refused("GitHub redirects to an address without TLS"));
        }
        let answer = self.files.get(elsewhere).send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| other(what, &error.without_url()))?;
        let body = Limited::new(reqwest::Body::from(answer), MAX_ASSET).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|error| other(what, error.as_ref()))
    }

    /// The commit of a tag; none where there is no such tag.
    pub async fn tag(&self, tag: &str) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Answer {
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            sha: String,
            r#type: String,
        }
        let what = format!("reading the tag {tag}");
        let found: Option<Answer> = self.find(&format!("/git/ref/tags/{}", encoded(tag)), &what).await?;
        let Some(Answer { object }) = found else { return Ok(None) };
        // An annotated tag is an object of its own.
        if object.r#type != "tag" {
            return Ok(Some(object.sha));
        }
        let found: Option<Answer> = self.find(&format!("/git/tags/{}", object.sha), &what).await?;
        Ok(found.map(|found| found.object.sha))
    }

    /// Deletes a tag.
    pub async fn delete_tag(&self, tag: &str) -> Result<()> {
        self.delete(&format!("/git/refs/tags/{}", encoded(tag)), &format!("deleting the tag {tag}")).await
    }
}

/// One segment of a path, or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(text, KEPT).to_string()
}
