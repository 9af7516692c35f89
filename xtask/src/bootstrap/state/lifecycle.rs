//! The bucket's lifecycle rules. Each lock and unlock leaves an old version, so old versions have to expire. 90 days are enough
//! to notice a broken state.

use crate::clients::s3::{
    AbortIncompleteMultipartUpload, ExpirationStatus, Lifecycle, LifecycleExpiration, LifecycleRule,
    LifecycleRuleBuilder, LifecycleRuleFilter, NoncurrentVersionExpiration,
};

/// Days after which an old version is deleted.
const OLD_DAYS: i32 = 90;
/// Days after which an unfinished upload is deleted.
const UNFINISHED_DAYS: i32 = 7;

/// The ids of the toolkit's rules. Rules with other ids are left alone.
const OLD_VERSIONS: &str = "xtask-old-versions";
const UNFINISHED_UPLOADS: &str = "xtask-unfinished-uploads";

/// The rules, for people. `versions`: whether the service supports versioning.
pub fn text(versions: bool) -> String {
    let uploads = format!("unfinished uploads are deleted after {UNFINISHED_DAYS} days");
    if versions { format!("old versions are deleted after {OLD_DAYS} days, {uploads}") } else { uploads }
}

/// The lifecycle with the toolkit's rules and all others; none if the toolkit's are there already. `markers`: whether the
/// service can expire the delete marker of an object whose old versions are gone.
pub fn merged(is: &Lifecycle, versions: bool, markers: bool) -> Option<Lifecycle> {
    let own: Vec<LifecycleRule> =
        [versions.then(|| old_versions(markers)), Some(unfinished_uploads())].into_iter().flatten().collect();
    let is_set = |rule: &LifecycleRule| is.rules.iter().any(|other| effect(other) == effect(rule));
    if own.iter().all(is_set) {
        return None;
    }
    let is_other = |rule: &&LifecycleRule| own.iter().all(|own| own.id != rule.id);
    let mut after = is.clone();
    after.rules = is.rules.iter().filter(is_other).cloned().chain(own.iter().cloned()).collect();
    Some(after)
}

fn old_versions(markers: bool) -> LifecycleRule {
    let expiration = NoncurrentVersionExpiration::builder().noncurrent_days(OLD_DAYS).build();
    let marker = LifecycleExpiration::builder().expired_object_delete_marker(true).build();
    let rule = everything(OLD_VERSIONS).noncurrent_version_expiration(expiration);
    finished(rule.set_expiration(markers.then_some(marker)))
}

fn unfinished_uploads() -> LifecycleRule {
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(UNFINISHED_DAYS).build();
    finished(everything(UNFINISHED_UPLOADS).abort_incomplete_multipart_upload(abort))
}

/// An enabled rule for every object.
fn everything(id: &str) -> LifecycleRuleBuilder {
    let all = LifecycleRuleFilter::builder().prefix("").build();
    LifecycleRule::builder().id(id).filter(all).status(ExpirationStatus::Enabled)
}

fn finished(rule: LifecycleRuleBuilder) -> LifecycleRule {
    rule.build().expect("the rule has a status")
}

/// The effect of a rule, however it is written. None for a rule that is off, is limited to some objects, or does more.
fn effect(rule: &LifecycleRule) -> Option<(Option<i32>, bool, Option<i32>)> {
    let filter = rule.filter.as_ref();
    let narrow = filter.is_some_and(|filter| {
        let sizes = filter.object_size_greater_than.is_some() || filter.object_size_less_than.is_some();
        filter.prefix().is_some_and(|prefix| !prefix.is_empty())
            || filter.tag.is_some()
            || filter.and.is_some()
            || sizes
    });
    #[expect(deprecated, reason = "other services still answer with it")]
    let narrow = narrow || rule.prefix().is_some_and(|prefix| !prefix.is_empty());
    let expiration = rule.expiration.as_ref();
    let old = rule.noncurrent_version_expiration.as_ref();
    let does_more = !rule.transitions().is_empty()
        || !rule.noncurrent_version_transitions().is_empty()
        || expiration.is_some_and(|expiration| expiration.days.is_some() || expiration.date.is_some())
        || old.is_some_and(|old| old.newer_noncurrent_versions.is_some());
    let marker = expiration.and_then(|expiration| expiration.expired_object_delete_marker).unwrap_or_default();
    let abort = rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation);
    let is_on = rule.status == ExpirationStatus::Enabled;
    (is_on && !narrow && !does_more).then(|| (old.and_then(|old| old.noncurrent_days), marker, abort))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rules: &[LifecycleRule]) -> Lifecycle {
        let mut lifecycle = Lifecycle::default();
        lifecycle.rules.extend_from_slice(rules);
        lifecycle
    }

    #[test]
    fn the_rules_are_added_once_and_others_stay() {
        let logs = LifecycleRuleFilter::builder().prefix("logs/").build();
        let expiration = LifecycleExpiration::builder().days(3).build();
        let other = LifecycleRule::builder().id("logs").filter(logs).expiration(expiration);
        let other = other.status(ExpirationStatus::Enabled).build().unwrap();
        let after = merged(&with(std::slice::from_ref(&other)), true, true).unwrap();
        assert_eq!(after.rules, [other, old_versions(true), unfinished_uploads()]);
        assert_eq!(merged(&after, true, true), None);
    }

    #[test]
    fn a_rule_changed_by_hand_is_restored() {
        for change in [
            |rule: &mut LifecycleRule| rule.status = ExpirationStatus::Disabled,
            |rule: &mut LifecycleRule| rule.noncurrent_version_expiration.as_mut().unwrap().noncurrent_days = Some(1),
            |rule: &mut LifecycleRule| rule.noncurrent_version_expiration = None,
            |rule: &mut LifecycleRule| rule.filter.as_mut().unwrap().prefix = Some("a/".to_owned()),
        ] {
            let mut changed = old_versions(false);
            change(&mut changed);
            let after = merged(&with(&[changed, unfinished_uploads()]), true, false).unwrap();
            assert_eq!(after.rules, [old_versions(false), unfinished_uploads()]);
        }
    }

    #[test]
    fn a_rule_is_recognised_in_every_spelling() {
        let mut old = old_versions(true);
        old.filter = None;
        let mut uploads = unfinished_uploads();
        uploads.id = Some("by-hand".to_owned());
        assert_eq!(merged(&with(&[uploads, old]), true, true), None);
    }

    #[test]
    fn without_versioning_there_is_no_rule_for_old_versions() {
        assert_eq!(merged(&Lifecycle::default(), false, false).unwrap().rules, [unfinished_uploads()]);
    }
}
