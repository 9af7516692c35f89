//! What a rehearsal says before it begins.

use crate::shop::Shop;

#[test]
fn what_is_missing_is_said_by_name_before_anything_is_started() {
    let test = "what_is_missing_is_said_by_name_before_anything_is_started";
    let Some(shop) = Shop::with(test, "    rehearsal:\n      variables: { bucket_admins: '[]' }\n") else { return };
    let said = shop.run(&["production"]).expect(2);
    said.says(&[
        "the rehearsal of production cannot begin",
        "the service requires GREETING; write into deploy.yaml: environments.production.rehearsal.settings.GREETING: VALUE",
        "requires the variable project_id; write into deploy.yaml: environments.production.rehearsal.variables.project_id: VALUE",
        "the variable dns_zone_id",
    ]);
    assert!(!shop.folder().join("servers").exists());
    assert!(shop.project.git(&["status", "--porcelain"]).is_empty());

    let media = "    media: { stack: infra/media, variables: { bucket: shop-media }, settings: { BUCKET: bucket } }\n";
    shop.project.edit("deploy.yaml", media, "");
    shop.project.edit("deploy.yaml", "variables: { bucket_admins: '[]' }", "settings: { GREETING: '{aws_endpoint}' }");
    let said = "rehearsal.settings.GREETING has {aws_endpoint}, and production has no `media` with a bucket at AWS";
    shop.run(&["production"]).expect(2).says(&[said]);
}

#[test]
fn only_an_environment_with_a_stack_is_rehearsed() {
    let test = "only_an_environment_with_a_stack_is_rehearsed";
    let Some(shop) = Shop::with(test, "") else { return };
    shop.run(&["local"])
        .expect(2)
        .says(&["environments.local has no `stack`", "environments that can be rehearsed: production"]);
    shop.run(&["nowhere"]).expect(2).says(&["there is no environment"]);
    shop.run(&["clean", "local"]).expect(2).says(&["has no `stack`"]);
}
