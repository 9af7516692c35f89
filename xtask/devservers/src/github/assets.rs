//! Assets of releases.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::{Answer, Outcome};
use super::call::{Call, by_id, change, node, now};
use super::repository::Repository;
use super::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/releases/{release_id}/assets", "contents:read", list),
    Route::new("POST", "/releases/{release_id}/assets", "contents:write", upload),
    Route::new("GET", "/releases/assets/{asset_id}", "contents:read", get),
    Route::new("PATCH", "/releases/assets/{asset_id}", "contents:write", patch),
    Route::new("DELETE", "/releases/assets/{asset_id}", "contents:write", delete),
];

/// An asset and its bytes.
pub(super) struct Asset {
    pub release: u64,
    pub value: Value,
    pub bytes: Vec<u8>,
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("release_id")?;
    let release = repository.release(id).ok_or_else(Answer::not_found)?;
    Ok(Answer::page(call, release["assets"].as_array().cloned().unwrap_or_default()))
}

fn upload(call: &Call, repository: &mut Repository) -> Outcome {
    let release = call.id("release_id")?;
    let found = by_id(&mut repository.releases.list, release)?;
    if found["immutable"] == true {
        return Err(Answer::error(422, "Cannot upload assets to an immutable release."));
    }
    let tag = found["tag_name"].as_str().unwrap_or_default().to_owned();
    // What GitHub makes of names: other characters become dots.
    let kept = |sign: char| if sign.is_ascii_alphanumeric() || "._-+@".contains(sign) { sign } else { '.' };
    let name: String = call.query("name").unwrap_or_default().chars().map(kept).collect();
    if name.is_empty() {
        return Err(Answer::invalid("ReleaseAsset", "name", "missing_field"));
    }
    let bytes = call.request.body.clone();
    if bytes.is_empty() {
        return Err(Answer::error(400, "Bad Content-Length: "));
    }
    let assets = &repository.releases.assets;
    if assets.iter().any(|asset| asset.release == release && asset.value["name"] == name.as_str()) {
        return Err(Answer::invalid("ReleaseAsset", "name", "already_exists"));
    }
    let id = repository.next_id();
    let value = json!({
        "url": repository.url(&format!("/releases/assets/{id}")),
        "browser_download_url": repository.html(&format!("/releases/download/{tag}/{name}")), "id": id,
        "node_id": node("RA", id), "name": name, "label": call.query("label"), "state": "uploaded",
        "content_type": call.request.header("content-type").unwrap_or("application/octet-stream"), "size": bytes.len(),
        "digest": format!("sha256:{}", hex::encode(Sha256::digest(&bytes))), "download_count": 0, "created_at": now(),
        "updated_at": now(), "uploader": repository.asker(call),
    });
    repository.releases.assets.push(Asset { release, value: value.clone(), bytes });
    Ok(Answer::created(value))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    let id = call.id("asset_id")?;
    let asset = repository.asset(id)?;
    if !call.request.header("accept").is_some_and(|accept| accept.contains("application/octet-stream")) {
        return Ok(Answer::ok(asset.value.clone()));
    }
    asset.value["download_count"] = (asset.value["download_count"].as_u64().unwrap_or(0) + 1).into();
    let path = format!("/assets/{}/{}/{id}", repository.owner, repository.name);
    Ok(Answer::redirect(&format!("{}{path}?signature=valid", repository.urls.objects)))
}

fn patch(call: &Call, repository: &mut Repository) -> Outcome {
    let asset = repository.changeable(call)?;
    change(&mut asset.value, &call.body, &["name", "label", "state"]);
    asset.value["updated_at"] = now().into();
    Ok(Answer::ok(asset.value.clone()))
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let id = repository.changeable(call)?.value["id"].clone();
    repository.releases.assets.retain(|asset| asset.value["id"] != id);
    Ok(Answer::empty())
}

impl Repository {
    fn asset(&mut self, id: u64) -> Result<&mut Asset, Answer> {
        self.releases.assets.iter_mut().find(|asset| asset.value["id"] == id).ok_or_else(Answer::not_found)
    }

    /// Makes an asset one of which the upload broke off.
    pub fn break_off(&mut self, id: &Value) {
        for asset in self.releases.assets.iter_mut().filter(|asset| asset.value["id"] == *id) {
            (asset.value["state"], asset.value["size"], asset.value["digest"]) = ("open".into(), 0.into(), Value::Null);
            asset.bytes.clear();
        }
    }

    fn changeable(&mut self, call: &Call) -> Result<&mut Asset, Answer> {
        let id = call.id("asset_id")?;
        let release = self.asset(id)?.release;
        if by_id(&mut self.releases.list, release)?["immutable"] == true {
            return Err(Answer::error(422, "Cannot change assets of an immutable release."));
        }
        self.asset(id)
    }
}
