//! Cron schedules, as `ParseStandard` of Go's robfig/cron v3 reads them.

use super::format::is_duration;

/// The smallest and largest value of each field, and the names of values: minute, hour, day, month, day of the week.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const DESCRIPTORS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Whether a text is a schedule: five fields or a descriptor, after an optional `TZ=`.
pub fn is_schedule(text: &str) -> bool {
    let has_zone = text.starts_with("TZ=") || text.starts_with("CRON_TZ=");
    let text = if has_zone { text.split_once(' ').map_or("", |(_, rest)| rest) } else { text };
    if let Some(every) = text.strip_prefix("@every ") {
        return is_duration(every);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    DESCRIPTORS.contains(&text)
        || fields.len() == FIELDS.len()
            && fields.iter().zip(FIELDS).all(|(field, of)| field.split(',').all(|part| is_range(part, of)))
}

/// Whether a text is `*`, a value or `a-b`, with an optional step `/n`.
fn is_range(text: &str, (least, most, names): (u32, u32, &[&str])) -> bool {
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let number = named.and_then(|at| Some(u32::try_from(at).ok()? + least)).or_else(|| text.parse().ok());
        number.filter(|number| (least..=most).contains(number))
    };
    let (range, step) = text.split_once('/').map_or((text, None), |(range, step)| (range, Some(step)));
    if step.is_some_and(|step| !step.parse::<u32>().is_ok_and(|step| step > 0)) {
        return false;
    }
    match range.split_once('-') {
        _ if range == "*" || range == "?" => true,
        Some((first, last)) => value(first).zip(value(last)).is_some_and(|(first, last)| first <= last),
        None => value(range).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_have_five_fields_within_their_ranges() {
        for good in
            ["5 4 * * *", "*/15 0-6,22 1 jan-Mar SUN", "0 0 ? * 1-5/2", "@daily", "@every 1h30m", "TZ=UTC 0 0 * * *"]
        {
            assert!(is_schedule(good), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * * 7",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "@sometimes",
            "@every day",
            "daily",
        ] {
            assert!(!is_schedule(bad), "{bad}");
        }
    }
}
