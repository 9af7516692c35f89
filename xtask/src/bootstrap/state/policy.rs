//! The one statement that ours is in the bucket's policy, beside other people's.

use serde_json::{Value, json};

/// The name of our statement: statements of other names are other people's.
const OURS: &str = "XtaskTlsOnly";

/// The policy with our statement, and all that was in it; none if it refuses already whatever comes without TLS.
pub fn merged(before: Option<&Value>, bucket: &str, region: &str) -> Option<Value> {
    // Amazon's partitions ("Amazon Resource Names", AWS general reference); other services call themselves `aws`.
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
    let ours = json!({
        "Sid": OURS,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resources,
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    });
    let others = statements.into_iter().filter(|statement| statement.get("Sid").is_none_or(|name| name != OURS));
    let mut policy = before.cloned().unwrap_or_else(|| json!({ "Version": "2012-10-17" }));
    policy["Statement"] = others.chain([ours]).collect();
    Some(policy)
}

/// Whether a statement does that, however it is written: lists of one are the same as what is in them.
fn refuses_without_tls(statement: &Value, resources: &[String]) -> bool {
    let is = |name: &str, value: &str| matches!(&listed(statement.get(name))[..], [one] if one == value);
    let everybody = is("Principal", "*")
        || statement.get("Principal").and_then(Value::as_object).is_some_and(|principal| {
            principal.len() == 1 && matches!(&listed(principal.get("AWS"))[..], [one] if one == "*")
        });
    let condition = statement.get("Condition").and_then(Value::as_object);
    let without_tls = condition.is_some_and(|condition| {
        let tests = condition.get("Bool").and_then(Value::as_object);
        let value = |value: &Value| matches!(&listed(Some(value))[..], [one] if one == "false" || one == false);
        let is_it = |tests: &serde_json::Map<String, Value>| {
            tests.len() == 1
                && tests.iter().all(|(name, is)| name.eq_ignore_ascii_case("aws:SecureTransport") && value(is))
        };
        condition.len() == 1 && tests.is_some_and(is_it)
    });
    let named = listed(statement.get("Resource"));
    let all = resources.iter().all(|resource| named.iter().any(|name| name == resource));
    is("Effect", "Deny") && everybody && is("Action", "s3:*") && all && without_tls
}

/// A list, or what stands for a list of one.
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

    fn ours() -> Value {
        merged(None, "states", "fr-par").unwrap()["Statement"][0].clone()
    }

    #[test]
    fn ours_is_added_once_and_others_stay() {
        let other = json!({ "Sid": "Audit", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::1:role/audit" },
            "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::states/*"] });
        // One statement need not be in a list.
        for before in [json!([other]), other.clone()] {
            let before = json!({ "Version": "2008-10-17", "Id": "by-hand", "Statement": before });
            let after = merged(Some(&before), "states", "fr-par").unwrap();
            assert_eq!((&after["Version"], &after["Id"]), (&before["Version"], &before["Id"]));
            assert_eq!(after["Statement"], json!([other, ours()]));
            assert_eq!(merged(Some(&after), "states", "fr-par"), None);
        }
    }

    #[test]
    fn one_that_says_the_same_in_other_words_will_do() {
        let other = json!({ "Statement": { "Effect": "Deny", "Principal": { "AWS": ["*"] }, "Action": ["s3:*"],
            "Resource": ["arn:aws:s3:::states/*", "arn:aws:s3:::states"],
            "Condition": { "Bool": { "aws:securetransport": [false] } } } });
        assert_eq!(merged(Some(&other), "states", "eu-west-1"), None);
    }

    #[test]
    fn one_that_says_less_will_not() {
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
            let mut weaker = ours();
            *weaker.pointer_mut(pointer).unwrap() = less;
            let after = merged(Some(&json!({ "Statement": [weaker] })), "states", "fr-par").unwrap();
            assert_eq!(after["Statement"], json!([ours()]), "{pointer}");
        }
    }

    #[test]
    fn partitions_have_names_of_their_own() {
        let resource = |region| merged(None, "states", region).unwrap()["Statement"][0]["Resource"][0].clone();
        assert_eq!(resource("cn-north-1"), "arn:aws-cn:s3:::states");
        assert_eq!(resource("us-gov-west-1"), "arn:aws-us-gov:s3:::states");
        assert_eq!(resource("us-east-1"), "arn:aws:s3:::states");
    }
}
