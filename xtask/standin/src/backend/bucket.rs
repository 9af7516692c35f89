//! Buckets of the S3 server and their settings. A setting that the server does not support is only stored.

mod cors;
mod lifecycle;
mod notification;
mod policy;
mod reply;
mod setting_kind;
mod settings;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use self::reply::{Reply, classify, require_bucket};
use self::setting_kind::SettingKind;
use super::compare::normalize;
use crate::fields::{is_true, text};
use crate::template::last_segment;
use crate::value::{Map, Value};

/// The fields of a resource type that hold settings of a bucket. `*` stands for the whole resource.
pub type Settings = BTreeMap<String, SettingKind>;

/// Creates a bucket with its settings, or updates the settings. Fails if a new bucket already exists.
pub async fn apply(s3: &Client, settings: &Settings, before: Option<&Map>, values: Map) -> Result<Map> {
    if before.is_some() {
        return apply_settings(s3, settings, before, values).await;
    }
    let name = bucket_name(&values)?;
    if exists(s3, &name).await? {
        bail!("the bucket {name} already exists (BucketAlreadyOwnedByYou)");
    }
    let region = s3.config().region().map(|region| region.as_ref()).filter(|region| *region != "us-east-1");
    let location = region.map(|region| {
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build()
    });
    let lock = is_true(&values, "object_lock_enabled").then_some(true);
    let create = s3.create_bucket().bucket(&name).set_create_bucket_configuration(location);
    require_bucket("create the bucket", &name, create.set_object_lock_enabled_for_bucket(lock).send().await)?;
    match apply_settings(s3, settings, None, values).await {
        Ok(values) => Ok(values),
        Err(error) => {
            // Otherwise the next apply would fail because the bucket exists.
            s3.delete_bucket().bucket(&name).send().await.ok();
            Err(error)
        }
    }
}

/// Writes the settings of a bucket. Fails if the bucket does not exist.
pub async fn apply_settings(s3: &Client, settings: &Settings, before: Option<&Map>, values: Map) -> Result<Map> {
    let name = bucket_name(&values)?;
    for (field, kind) in settings {
        let value = setting_kind::value_of(field, &values);
        if !normalize(&value).is_null() {
            kind.put(s3, &name, &value).await?;
        } else if before.is_some() {
            kind.delete(s3, &name).await?;
        }
    }
    Ok(values)
}

/// Updates the values with the settings that differ on the server. Returns `None` if the bucket does not exist.
pub async fn read(s3: &Client, settings: &Settings, values: Map) -> Result<Option<Map>> {
    read_bucket(s3, settings, false, values).await
}

/// As [`read`], for a resource that is only a setting. Returns `None` also if the setting is not set.
pub async fn read_settings(s3: &Client, settings: &Settings, values: Map) -> Result<Option<Map>> {
    read_bucket(s3, settings, true, values).await
}

/// Deletes a bucket. Fails if it contains objects, unless `force_destroy` is set.
pub async fn delete(s3: &Client, values: &Map) -> Result<()> {
    let name = bucket_name(values)?;
    if is_true(values, "force_destroy") {
        delete_objects(s3, &name).await?;
    }
    match classify(s3.delete_bucket().bucket(&name).send().await) {
        Ok(Reply::Value(_) | Reply::NoBucket) => Ok(()),
        Ok(_) => bail!("the S3 server cannot delete buckets"),
        Err(error) => Err(error).with_context(|| format!("delete the bucket {name}")),
    }
}

pub async fn delete_settings(s3: &Client, settings: &Settings, values: &Map) -> Result<()> {
    let name = bucket_name(values)?;
    for kind in settings.values() {
        kind.delete(s3, &name).await?;
    }
    Ok(())
}

async fn read_bucket(s3: &Client, settings: &Settings, only_settings: bool, mut values: Map) -> Result<Option<Map>> {
    let name = bucket_name(&values)?;
    if !exists(s3, &name).await? {
        return Ok(None);
    }
    for (field, kind) in settings {
        let current = match kind.get(s3, &name).await? {
            Reply::Value(current) => current,
            Reply::NotSet if only_settings => return Ok(None),
            Reply::NotSet => Value::Null,
            Reply::NoBucket => return Ok(None),
            Reply::NotSupported => continue,
        };
        setting_kind::update_if_different(*kind, field, &mut values, current);
    }
    Ok(Some(values))
}

/// The bucket's name. Providers use different fields for it, and Scaleway puts the region before it.
fn bucket_name(values: &Map) -> Result<String> {
    let name = ["bucket_name", "bucket", "name"].iter().find_map(|field| text(values, field));
    Ok(last_segment(&name.context("the resource does not name its bucket")?).to_owned())
}

async fn exists(s3: &Client, name: &str) -> Result<bool> {
    match s3.head_bucket().bucket(name).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(false),
        Err(error) => bail!("look up the bucket {name}: {}", DisplayErrorContext(error)),
    }
}

/// Deletes all objects with their versions and delete markers.
async fn delete_objects(s3: &Client, name: &str) -> Result<()> {
    let context = || format!("delete the objects of the bucket {name}");
    loop {
        let page = classify(s3.list_object_versions().bucket(name).send().await).with_context(context)?;
        let Reply::Value(page) = page else { return Ok(()) };
        let objects = page.versions().iter().map(|it| (it.key(), it.version_id()));
        let markers = page.delete_markers().iter().map(|it| (it.key(), it.version_id()));
        let all: Vec<_> = objects.chain(markers).filter_map(|(key, version)| Some((key?, version))).collect();
        if all.is_empty() {
            return Ok(());
        }
        for (key, version) in all {
            let delete = s3.delete_object().bucket(name).key(key).set_version_id(version.map(str::to_owned));
            classify(delete.send().await).with_context(context)?;
        }
    }
}
