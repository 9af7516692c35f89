//! `GET /s/{token}`: the web UI at the page of a share, with what chat programs show of a link to it (Open Graph).
//!
//! They see what every guest sees: the title, how much there is, and the first thumbnail; of a single clip, the clip itself. A share with a password tells nothing, as a token that opens
//! no share does.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, request::Parts},
};
use sqlx::PgPool;

use super::{
    error::ApiError,
    home::{self, Page, escape_html},
    media::FileUrls,
    openapi::{Input, Operation},
    state::{AppState, Site},
};
use crate::{
    media::{
        Kind,
        shares::{self, OpenShare, SharedItem},
    },
    process,
    storage::Storage,
};

/// What the web UI calls itself.
const SITE: &str = "meemi";

/// The share of the token in the path, if it opens one, and the token.
pub struct MaybeShared(Option<(OpenShare, String)>);

/// The UI itself tells people what is wrong with a token.
pub async fn get(
    State(Site(pages)): State<Site>,
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    MaybeShared(share): MaybeShared,
    headers: HeaderMap,
) -> Result<Page, ApiError> {
    let pages = pages.ok_or_else(ApiError::not_found)?;
    match share.filter(|(share, _)| share.password_hash.is_none()) {
        Some((share, token)) => {
            let origin = home::origin(&headers);
            let elements = preview(&db, &storage, &share, &origin, &format!("{origin}/s/{token}")).await?;
            Ok(Page(pages.index_with(&elements)))
        }
        None => Ok(Page(pages.index(&headers))),
    }
}

/// The elements of the page's head.
async fn preview(
    db: &PgPool,
    storage: &Storage,
    share: &OpenShare,
    origin: &str,
    url: &str,
) -> Result<String, ApiError> {
    let items = shares::items(db, share.id).await?;
    let name = items.first().map_or("", |item| &item.name);
    let title = [&share.title, name, SITE].into_iter().find(|title| !title.is_empty()).unwrap_or_default();
    let mut properties = vec![("url", url.to_owned()), ("site_name", SITE.to_owned()), ("title", title.to_owned())];
    if let Some(first) = items.first() {
        properties.push(("description", description(&items)));
        let urls = FileUrls::new(storage, first.file, first.has_clipboard, first.updated_at).await?;
        let absolute = |url: String| if url.starts_with('/') { format!("{origin}{url}") } else { url };
        let sides = (first.width.unsigned_abs(), first.height.unsigned_abs());
        if let Some(url) = urls.thumbnail_url {
            let (width, height) = process::thumbnail_size(sides.0, sides.1);
            properties.extend([
                ("image", absolute(url)),
                ("image:type", "image/webp".to_owned()),
                ("image:width", width.to_string()),
                ("image:height", height.to_string()),
                ("image:alt", first.name.clone()),
            ]);
        }
        if let Some(url) = urls.file_url.filter(|_| is_clip(&items)) {
            properties.extend([
                ("video", absolute(url)),
                ("video:type", first.mime_type.clone()),
                ("video:width", sides.0.to_string()),
                ("video:height", sides.1.to_string()),
            ]);
        }
    }
    // The protocol has no type for a picture or a set of media: <https://ogp.me/#types>.
    properties.insert(0, ("type", if is_clip(&items) { "video.other" } else { "website" }.to_owned()));
    let element =
        |(name, content): (&str, String)| format!(r#"<meta property="og:{name}" content="{}">"#, escape_html(&content));
    Ok(properties.into_iter().map(element).collect::<Vec<_>>().concat())
}

/// Whether a share is of one clip, which chat programs may play.
fn is_clip(items: &[SharedItem]) -> bool {
    matches!(items, [SharedItem { kind: Kind::Video, .. }])
}

/// How many pictures and clips there are, and the size of a single one.
fn description(items: &[SharedItem]) -> String {
    if let [SharedItem { kind, width, height, .. }] = items {
        let kind = if *kind == Kind::Video { "Clip" } else { "Picture" };
        return format!("{kind}, {width} × {height}");
    }
    let clips = items.iter().filter(|item| item.kind == Kind::Video).count();
    let count = |count: usize, name: &str| match count {
        0 => None,
        1 => Some(format!("1 {name}")),
        _ => Some(format!("{count} {name}s")),
    };
    let counts = [count(items.len() - clips, "picture"), count(clips, "clip")];
    counts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

impl FromRequestParts<AppState> for MaybeShared {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(token)) => Ok(Self(shares::find(&state.db, &token).await?.map(|share| (share, token)))),
            Err(_) => Ok(Self(None)),
        }
    }
}

impl Input for MaybeShared {
    fn describe(operation: &mut Operation<'_>) {
        operation.share_token();
    }
}
