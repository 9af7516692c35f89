//! The variables of a service at the panel: lines of a `.env` file.

use std::collections::BTreeMap;

/// The lines of a service with these values. A deploy owns what the service declares and what it sets: such a line is replaced, or gone where
/// there is no value. All other lines stay.
pub(super) fn merged(before: &str, declared: &[&str], values: &BTreeMap<String, String>) -> String {
    with_values(before.lines(), declared, values).join("\n")
}

/// The same for variables that are apart, `NAME=value`, as those of a container.
pub(super) fn with_values<'v>(
    before: impl Iterator<Item = &'v str>,
    declared: &[&str],
    values: &BTreeMap<String, String>,
) -> Vec<String> {
    let is_owned = |variable: &&str| {
        let name = variable.split_once('=').map(|(name, _)| name.trim());
        name.is_some_and(|name| declared.contains(&name) || values.contains_key(name))
    };
    let kept = before.filter(|variable| !is_owned(variable)).map(str::to_owned);
    kept.chain(values.iter().map(|(name, value)| format!("{name}={value}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_declares_is_replaced_and_other_lines_stay() {
        let values = [("GREETING", "moi"), ("PORT", "8080")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let before = "# of the panel\nTZ=Europe/Helsinki\nGREETING = hello\r\nAPI_TOKEN=old\n\nPORT=80";
        assert_eq!(
            merged(before, &["GREETING", "API_TOKEN"], &BTreeMap::from(values)),
            "# of the panel\nTZ=Europe/Helsinki\n\nGREETING=moi\nPORT=8080"
        );
        assert_eq!(merged("", &[], &BTreeMap::new()), "");
    }
}
