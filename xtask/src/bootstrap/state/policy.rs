//! The statement that the toolkit adds to the bucket's policy. Other statements stay.

use serde_json::{Value, json};

/// The name of the statement.
const SID: &str = "XtaskTlsOnly";

/// The policy with the statement added; none if the policy refuses every request without TLS already.
pub fn merged(before: Option<&Value>, bucket: &str, region: &str) -> Option<Value> {
    // Amazon's partitions ("Amazon Resource Names", AWS general reference). Other services use `aws`.
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let resources = [format!("arn:{partition}:s3:::{bucket}"), format!("arn:{partition}:s3:::{bucket}/*")];
    let statements = listed(before.and_then(|policy| policy.get("Statement")));
    if statements.iter().any(|statement| refuses_without_tls(statement, &resources)) {
        return None;
    }
    let own = json!({
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resources,
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    });
    let others = statements.into_iter().filter(|statement| statement.get("Sid").is_none_or(|name| name != SID));
    let mut policy = before.cloned().unwrap_or_else(|| json!({ "Version": "2012-10-17" }));
    policy["Statement"] = others.chain([own]).collect();
    Some(policy)
}

/// Whether a statement refuses every request without TLS. A list of one equals its element.
fn refuses_without_tls(statement: &Value, resources: &[String]) -> bool {
    let is = |name: &str, value: &str| matches!(&listed(statement.get(name))[..], [one] if one == value);
    let everyone = is("Principal", "*")
        || statement.get("Principal").and_then(Value::as_object).is_some_and(|principal| {
            principal.len() == 1 && matches!(&listed(principal.get("AWS"))[..], [one] if one == "*")
        });
    let condition = statement.get("Condition").and_then(Value::as_object);
    let without_tls = condition.is_some_and(|condition| {
        let tests = condition.get("Bool").and_then(Value::as_object);
        let value = |value: &Value| matches!(&listed(Some(value))[..], [one] if one == "false" || one == false);
        let is_match = |tests: &serde_json::Map<String, Value>| {
            tests.len() == 1
                && tests.iter().all(|(name, is)| name.eq_ignore_ascii_case("aws:SecureTransport") && value(is))
        };
        condition.len() == 1 && tests.is_some_and(is_match)
    });
    let named = listed(statement.get("Resource"));
    let all = resources.iter().all(|resource| named.iter().any(|name| name == resource));
    is("Effect", "Deny") && everyone && is("Action", "s3:*") && all && without_tls
}

/// The elements of a list; any other value is a list of one.
fn listed(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(values)) => values.clone(),
        Some(value) => vec![value.clone()],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Value {
        merged(None, "states", "fr-par").unwrap()["Statement"][0].clone()
    }

    #[test]
    fn the_statement_is_added_once_and_others_stay() {
        let other = json!({ "Sid": "Audit", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::1:role/audit" },
            "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::states/*"] });
        // A policy with one statement may have no list.
        for before in [json!([other]), other.clone()] {
            let before = json!({ "Version": "2008-10-17", "Id": "by-hand", "Statement": before });
            let after = merged(Some(&before), "states", "fr-par").unwrap();
            assert_eq!((&after["Version"], &after["Id"]), (&before["Version"], &before["Id"]));
            assert_eq!(after["Statement"], json!([other, own()]));
            assert_eq!(merged(Some(&after), "states", "fr-par"), None);
        }
    }

    #[test]
    fn an_equivalent_statement_is_enough() {
        let other = json!({ "Statement": { "Effect": "Deny", "Principal": { "AWS": ["*"] }, "Action": ["s3:*"],
            "Resource": ["arn:aws:s3:::states/*", "arn:aws:s3:::states"],
            "Condition": { "Bool": { "aws:securetransport": [false] } } } });
        assert_eq!(merged(Some(&other), "states", "eu-west-1"), None);
    }

    #[test]
    fn a_weaker_statement_is_not() {
        for (pointer, less) in [
            ("/Effect", json!("Allow")),
            ("/Principal", json!({ "AWS": "arn:aws:iam::1:root" })),
            ("/Action", json!("s3:GetObject")),
            ("/Resource", json!("arn:aws:s3:::states/*")),
            ("/Condition/Bool", json!({ "aws:SecureTransport": "true" })),
            (
                "/Condition",
                json!({ "Bool": { "aws:SecureTransport": "false" }, "StringEquals": { "aws:username": "a" } }),
            ),
        ] {
            let mut weaker = own();
            *weaker.pointer_mut(pointer).unwrap() = less;
            let after = merged(Some(&json!({ "Statement": [weaker] })), "states", "fr-par").unwrap();
            assert_eq!(after["Statement"], json!([own()]), "{pointer}");
        }
    }

    #[test]
    fn the_partition_follows_from_the_region() {
        let resource = |region| merged(None, "states", region).unwrap()["Statement"][0]["Resource"][0].clone();
        assert_eq!(resource("cn-north-1"), "arn:aws-cn:s3:::states");
        assert_eq!(resource("us-gov-west-1"), "arn:aws-us-gov:s3:::states");
        assert_eq!(resource("us-east-1"), "arn:aws:s3:::states");
    }
}
