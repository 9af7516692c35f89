//! The platform's API: containers, custom domains, registry namespaces and logs.

use serde_json::json;

use devservers::{Moto, http};
use testkit::until;

use super::docker::{IMAGE, container, docker_stdout};
use super::edge::{Https, api, get, start};
use super::harness::{TestProvider, builder, or_skip};
use super::route53::{client, create_zone, record};

const STACK: &str = include_str!("stacks/container.tf");

const DOMAIN: &str = r#"
resource "scaleway_container_domain" "app" {
  container_id = scaleway_container.app.id
  hostname     = "media.example.org"
}
"#;

#[test]
fn a_container_is_shown_as_it_is_and_its_logs_outlive_it() {
    let Some(provider) = start(|builder| builder) else { return };
    let stack = provider.stack(STACK);
    assert_eq!(stack.apply().code, 0);
    let (cloud, app) = (&provider.cloud, stack.values("scaleway_container.app"));
    let uuid = |id: &serde_json::Value| id.as_str().unwrap().split('/').nth(1).unwrap().to_owned();
    let (id, namespace) = (uuid(&app["id"]), uuid(&app["namespace_id"]));
    let regional = "/containers/v1/regions/fr-par";
    let shown = || api(cloud, "GET", &format!("{regional}/containers/{id}"), "");
    let (status, first) = shown();
    assert_eq!(status, 200, "{first}");
    assert_eq!((&first["id"], &first["namespace_id"]), (&json!(id), &json!(namespace)));
    assert_eq!((&first["name"], &first["status"]), (&json!("app"), &json!("ready")));
    assert_eq!((&first["image"], &first["public_endpoint"]), (&app["image"], &app["public_endpoint"]));
    assert_eq!((&first["mvcpu_limit"], &first["port"]), (&json!(250), &json!(8765)));
    assert_eq!(first["environment_variables"]["OPEN"], "open");
    assert_eq!((&first["startup_probe"]["http"]["path"], &first["timeout"]), (&json!("/version"), &json!("300s")));
    let list = |query: &str| api(cloud, "GET", &format!("{regional}/containers?{query}"), "").1;
    assert_eq!(list(&format!("namespace_id={namespace}")), json!({ "containers": [first], "total_count": 1 }));
    assert_eq!(list("namespace_id=other")["total_count"], 0);
    assert_eq!(list("page=2")["containers"], json!([]));
    let (status, missing) = api(cloud, "GET", &format!("{regional}/containers/none"), "");
    assert_eq!((status, &missing["type"], &missing["resource"]), (404, &json!("not_found"), &json!("container")));

    // A version that fails: the API says so, and its lines remain. The old version still serves.
    let exits = "-var=command=[\"/bin/sh\", \"-c\", \"echo no database >&2; exit 3\"]";
    stack.ok(&["apply", "-auto-approve", "-input=false", exits]);
    let (_, failed) = shown();
    assert_eq!(failed["status"], "error");
    assert!(failed["error_message"].as_str().unwrap().contains("exit code 3"), "{failed}");
    let host = app["domain_name"].as_str().unwrap();
    assert_eq!(get(cloud, host, "/version").unwrap(), (200, "1".to_owned()));
    let query = format!("{{resource_type=\"serverless_container\", resource_id=\"{id}\"}}");
    let lines = |more: &str| {
        let query = format!("{query}{more}").replace(' ', "%20").replace('|', "%7C").replace('"', "%22");
        let (status, found) =
            api(cloud, "GET", &format!("/loki/api/v1/query_range?direction=forward&query={query}"), "");
        assert_eq!((status, &found["data"]["resultType"]), (200, &json!("streams")), "{found}");
        found["data"]["result"].as_array().unwrap().clone()
    };
    let all = lines("");
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["stream"]["resource_name"], host.split('.').next().unwrap());
    let values = all[0]["values"].as_array().unwrap();
    let line = |index: usize| serde_json::from_str::<serde_json::Value>(values[index][1].as_str().unwrap()).unwrap();
    assert_eq!((&line(0)["message"], &line(0)["stream"]), (&json!("this is version 1"), &json!("stdout")));
    assert_eq!((&line(1)["message"], &line(1)["stream"]), (&json!("no database"), &json!("stderr")));
    assert_ne!(line(0)["resource_instance"], line(1)["resource_instance"]);
    let times: Vec<u128> = values.iter().map(|value| value[0].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(lines(" |= \"database\"")[0]["values"].as_array().unwrap().len(), 1);
    assert_eq!(lines(" |= \"nothing of it\""), Vec::<serde_json::Value>::new());
    let (status, refused) = api(cloud, "GET", "/loki/api/v1/query_range?query=%7B%7D", "");
    assert_eq!((status, &refused["status"]), (400, &json!("error")));

    // A container that exits later is an error too, without an apply.
    stack.ok(&["apply", "-auto-approve", "-input=false"]);
    assert_eq!(shown().1["status"], "ready");
    docker_stdout(&["kill", container(&provider)["Id"].as_str().unwrap()]);
    until("the API sees it", || shown().1["status"] == "error");
    assert_eq!(get(cloud, host, "/version").unwrap().0, 503);
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(shown().0, 404);
    assert_eq!(lines(" |= \"this is version\"")[0]["values"].as_array().unwrap().len(), 2, "one line of each version");
}

#[test]
fn the_status_is_updating_while_a_version_starts() {
    let Some(provider) = start(|builder| builder) else { return };
    let stack = provider.stack(STACK);
    assert_eq!(stack.apply().code, 0);
    let list = "/containers/v1/regions/fr-par/containers";
    let status = || api(&provider.cloud, "GET", list, "").1["containers"][0]["status"].clone();
    assert_eq!(status(), "ready");
    let apply = ["apply", "-auto-approve", "-input=false", "-var=path=/nowhere"];
    std::thread::scope(|scope| {
        let apply = scope.spawn(|| stack.run(&apply));
        until("it is updating", || status() == "updating");
        assert_eq!(apply.join().unwrap().code, 0);
    });
    assert_eq!(status(), "error");
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
}

#[test]
fn a_custom_domain_is_served_once_its_record_leads_to_the_container() {
    let Some(moto) = or_skip(Moto::start()) else { return };
    let with_zones =
        |builder: devservers::standin::Builder| builder.variable("STANDIN_ROUTE53_ENDPOINT", &moto.endpoint());
    let Some(provider) = start(with_zones) else { return };
    let stack = provider.stack(&format!("{STACK}{DOMAIN}"));
    // Without the record, the apply succeeds and the domain is in error.
    let result = stack.apply();
    assert_eq!(result.code, 0, "{}", result.output);
    let (cloud, host) = (&provider.cloud, "media.example.org");
    let container = stack.values("scaleway_container.app");
    let domains = || {
        let id = container["id"].as_str().unwrap().split('/').nth(1).unwrap();
        api(cloud, "GET", &format!("/containers/v1/regions/fr-par/domains?container_id={id}"), "").1["domains"].clone()
    };
    let failed = domains()[0].clone();
    assert_eq!((&failed["hostname"], &failed["status"]), (&json!(host), &json!("error")));
    let message = failed["error_message"].as_str().unwrap();
    assert!(message.contains("media.example.org. must have a CNAME record to media"), "{message}");
    assert!(Https::connect(cloud, host).is_err());
    assert_eq!(stack.changes(), []);

    // A record that appears later changes nothing: the platform checks once.
    let target = container["domain_name"].as_str().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let route53 = client(&moto.endpoint());
        let zone = create_zone(&route53, "example.org").await;
        record(&route53, &zone, host, "CNAME", target).await;
    });
    let id = failed["id"].as_str().unwrap();
    let one = || api(cloud, "GET", &format!("/containers/v1/regions/fr-par/domains/{id}"), "");
    assert_eq!(one(), (200, failed.clone()));
    stack.ok(&["apply", "-auto-approve", "-input=false", "-replace=scaleway_container_domain.app"]);
    assert_eq!(one().0, 404);
    assert_eq!((&domains()[0]["status"], &domains()[0]["error_message"]), (&json!("ready"), &json!(null)));
    assert_eq!(get(cloud, host, "/version").unwrap(), (200, "1".to_owned()));
    stack.ok(&["apply", "-auto-approve", "-input=false", &format!("-var=image={IMAGE}:2")]);
    assert_eq!(get(cloud, host, "/version").unwrap(), (200, "2".to_owned()));
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert!(Https::connect(cloud, host).is_err());
}

#[test]
fn a_registry_namespace_of_the_api_is_imported_by_the_provider() {
    let Some(provider) = TestProvider::of(builder().api().variable("STANDIN_API_KEY", "key"), false) else { return };
    let cloud = &provider.cloud;
    let path = "/registry/v1/regions/fr-par/namespaces";
    let body = json!({ "name": "shop", "project_id": "6f9a1c0e-5d2b-4c8e-9a37-2b41c7d0e815", "is_public": true });
    let (status, made) = api(cloud, "POST", path, &body.to_string());
    assert_eq!(status, 200, "{made}");
    assert_eq!((&made["endpoint"], &made["status"]), (&json!("rg.fr-par.scw.cloud/shop"), &json!("ready")));
    assert_eq!(made["project_id"], body["project_id"]);
    assert_eq!(api(cloud, "POST", path, &body.to_string()).0, 409);
    assert_eq!(api(cloud, "POST", path, "{}").0, 400);
    assert_eq!(api(cloud, "GET", &format!("{path}?name=sho"), "").1["namespaces"], json!([made]));
    assert_eq!(api(cloud, "GET", "/registry/v1/regions/nl-ams/namespaces", "").1["total_count"], 0);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(api(cloud, "GET", &one, "").1, made);
    assert_eq!(api(cloud, "PATCH", &one, "{\"is_public\": false}").1["is_public"], false);
    assert_eq!(api(cloud, "GET", &format!("{path}/none"), "").0, 404);

    let stack = provider.stack(&format!(
        "resource \"scaleway_registry_namespace\" \"images\" {{\n  name      = \"shop\"\n  is_public = false\n}}\n\
         import {{\n  to = scaleway_registry_namespace.images\n  id = \"fr-par/{}\"\n}}\n",
        made["id"].as_str().unwrap()
    ));
    let result = stack.apply();
    assert!(result.output.contains("1 imported, 0 added, 0 changed"), "{}", result.output);

    // Without the key, and with another one.
    for headers in [&[][..], &[("X-Auth-Token", "")], &[("X-Auth-Token", "other")], &[("X-Token", "other")]] {
        let answer = http::ask(&cloud.api().unwrap(), "GET", path, headers, "").unwrap();
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(answer.text().contains("\"type\":\"denied_authentication\""), "{}", answer.text());
    }
    let bearer = http::ask(&cloud.api().unwrap(), "GET", path, &[("Authorization", "Bearer key")], "").unwrap();
    assert_eq!(bearer.status, 200);
    let (status, unknown) = api(cloud, "GET", "/functions/v1", "");
    assert_eq!((status, &unknown["type"]), (404, &json!("unknown_resource")));
}
