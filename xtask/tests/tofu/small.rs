//! A small stack on the stand-in.

use serde_json::{Value, json};

use crate::site::{PASSPHRASE, Site, cloud, write_env};
use devservers::Cloud;

/// A container and its namespace.
pub const STACK: &str = r#"terraform {
  backend "s3" {}

  required_providers {
    scaleway = {
      source  = "scaleway/scaleway"
      version = "2.81.0"
    }
  }
}

resource "scaleway_container_namespace" "main" {
  name = "shop"
}

resource "scaleway_container" "app" {
  name         = "app"
  namespace_id = scaleway_container_namespace.main.id
  image        = "app:1"
}
"#;

/// A project with this stack and no resources yet. `None` if this machine cannot run the test.
pub fn site(test: &str, stack: &str) -> Option<Site> {
    let mut site = Site::with(test, |project, state| {
        let deploy = project.read("deploy.yaml");
        let production =
            "  production:\n    target: scaleway\n    registry: registry.example.com/shop\n    stack: infra\n";
        project.write("deploy.yaml", &format!("{deploy}{production}    {state}\n"));
        project.write("infra/main.tf", stack);
        write_env(&project.root, PASSPHRASE, "SCW_SECRET_KEY=sentinel-of-scaleway\n");
    })?;
    site.cloud = Some(cloud(&[]));
    Some(site)
}

impl Site {
    /// The stand-in for its providers.
    pub fn cloud(&self) -> &Cloud {
        self.cloud.as_ref().expect("it has one")
    }

    /// Makes the next creation of the container fail in this way.
    pub fn fault(&self, fault: Value) {
        let entry = json!({ "type": "scaleway_container", "during": "create", "times": 1, "fault": fault });
        self.cloud().faults(&json!([entry])).unwrap();
    }
}
