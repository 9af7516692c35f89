//! What a provider does not read: the toolkit asks the platform's API, after a plan and after an apply.

use serde_json::json;

use crate::site::PASSPHRASE;
use crate::site::write_env;
use crate::stacks::site;
use devservers::Versitygw;

#[test]
fn a_custom_domain_in_error_is_said_although_opentofu_succeeds() {
    let test = "a_custom_domain_in_error_is_said_although_opentofu_succeeds";
    let Some(site) = site::<Versitygw>(test, "scaleway") else { return };
    // Before the first apply there is nothing to ask for.
    let approval = site.approval();
    assert_eq!(site.platform.asked(), Vec::<String>::new());
    site.platform.set(|answers| answers.domain = Some(("error", "the CNAME does not resolve")));
    let applied = site.run(&["apply", "production", "--approve", &approval]).expect(0);
    let said = [
        "scaleway_container_domain.service: the status of media.example.org is error, which neither an apply nor a plan shows",
        "the CNAME does not resolve",
        "cargo xtask tofu plan production",
    ];
    applied.says(&said);
    let asked = site.platform.asked();
    assert!(asked.iter().all(|path| path.starts_with("/containers/v1/regions/fr-par/domains/")), "{asked:?}");
    assert_eq!(asked.len(), 1);
    // The next plan has no changes, and says it again.
    site.run(&["plan", "production"]).expect(0).says(&said);
    let plan = site.result(&["plan", "production"], 0);
    assert_eq!(plan["unseen"][0]["verdict"], "broken", "{plan:#}");

    site.platform.set(|answers| answers.domain = Some(("creating", "")));
    let creating = site.run(&["plan", "production"]).expect(0).says(&["is creating, so it may not answer yet"]);
    site.type_it(&creating, "to check again, type: ").expect(0).says(&["is creating, so it may not answer yet"]);
    site.platform.set(|answers| answers.domain = None);
    site.run(&["plan", "production"]).expect(0).says(&["Scaleway has no such domain"]);
    // The platform's word is not a request to the service, and an apply says so.
    site.platform.set(|answers| answers.domain = Some(("ready", "")));
    let plan = site.run(&["plan", "production"]).expect(0);
    assert!(!plan.stderr.contains("media.example.org"), "{}", plan.stderr);
    site.project.edit("deploy.yaml", "      project: meemi\n", "      project: meemi\n      min_scale: 1\n");
    site.project.commit("A change");
    let approval = site.approval();
    site.run(&["apply", "production", "--approve", &approval]).expect(0).says(&[
        "the status of media.example.org is ready",
        "only a request proves: curl --fail https://media.example.org",
    ]);
}

#[test]
fn a_condition_that_cannot_be_asked_is_said_and_fails_nothing() {
    let test = "a_condition_that_cannot_be_asked_is_said_and_fails_nothing";
    let Some(site) = site::<Versitygw>(test, "r2") else { return };
    site.change();
    write_env(&site.project.root, PASSPHRASE, "");
    let plan = site.run(&["plan", "production"]).expect(0);
    plan.says(&["cloudflare_r2_managed_domain.media", "OpenTofu does not see it", "CLOUDFLARE_API_TOKEN has no value"]);
}

#[test]
fn a_bucket_that_was_opened_by_hand_fails_the_plan() {
    let Some(site) = site::<Versitygw>("a_bucket_that_was_opened_by_hand_fails_the_plan", "r2") else { return };
    site.change();
    site.run(&["plan", "production"]).expect(0);
    assert!(site.platform.asked().iter().any(|path| path.contains("/r2/buckets/meemit-media/domains/managed")));
    site.platform.set(|answers| answers.open = true);
    let said = [
        "everyone can read the bucket meemit-media at https://pub-b.r2.dev",
        "OpenTofu does not see the difference",
        "cargo xtask tofu plan production",
    ];
    site.run(&["plan", "production"]).expect(1).says(&said);
    // The state says that it is closed, so a plan alone would not show it.
    let (file, mut values) = site.cloud().only("cloudflare_r2_managed_domain");
    values["enabled"] = json!(true);
    fs_err::write(file, values.to_string()).unwrap();
    let plan = site.run(&["plan", "production"]).expect(1).says(&["5 unchanged"]);
    assert!(!format!("{}{}", plan.stdout, plan.stderr).contains("was changed outside"), "{}", plan.stdout);
    // What the plan would change is kept, and can be applied; the apply fails for the same reason.
    site.project.edit("deploy.yaml", "https://media.example.org", "https://www.example.org");
    site.project.commit("A change");
    let plan = site.run(&["plan", "production"]).expect(1);
    let approval = plan.says(&said).stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let open = site.run(&["apply", "production", "--approve", &approval]).expect(1).says(&said);
    site.platform.set(|answers| answers.open = false);
    site.type_it(&open, "then type: ").expect(0);
}

#[test]
fn a_bucket_cannot_change_its_jurisdiction() {
    let Some(site) = site::<Versitygw>("a_bucket_cannot_change_its_jurisdiction", "r2") else { return };
    site.change();
    site.project.edit("deploy.yaml", "jurisdiction: eu", "jurisdiction: fedramp");
    site.project.commit("Another jurisdiction");
    let refused = site.run(&["plan", "production"]).expect(1);
    refused.says(&["jurisdiction must stay eu: a bucket cannot move to another one"]);
    site.run(&["apply", "production"]).expect(21).says(&["there is no plan"]);
    // Without the stack's check, the plan would be an update in place.
    let media = site.project.read("infra/r2/media.tf");
    let begin = media.find("    precondition {").unwrap();
    let end = begin + media[begin..].find("\n    }\n").unwrap() + "\n    }\n".len();
    site.project.write("infra/r2/media.tf", &format!("{}{}", &media[..begin], &media[end..]));
    site.project.commit("Without the check");
    let plan = site.run(&["plan", "production"]).expect(10);
    assert!(plan.stdout.contains("~ update   cloudflare_r2_bucket.media"), "{}", plan.stdout);
}
