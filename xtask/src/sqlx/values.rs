//! Candidate values for a column: one for each row by its type, and those that CHECK constraints name.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Rows of each table. The last one has NULL wherever the schema allows it.
pub const ROWS: usize = 3;

/// The longest generated text. A constraint that needs a longer one is not satisfied.
const LONGEST: usize = 10_000;

/// A type without its domains.
pub struct Base {
    /// `pg_type.typname`.
    pub name: String,
    /// `pg_type.typcategory`: `A` array, `N` number, `R` range, `S` text.
    pub category: String,
    /// The labels of an enumeration.
    pub labels: Vec<String>,
}

/// The values to try for a column, the likeliest first.
pub struct Candidates {
    type_name: String,
    nullable: bool,
    make: Vec<Box<dyn Fn(usize) -> String>>,
}

impl Candidates {
    /// The candidates of a column. `named` are the literals of its constraints; true marks a constraint on this column alone.
    pub fn new(type_name: String, nullable: bool, base: &Base, named: &[(bool, String)]) -> Self {
        let mut make: Vec<Box<dyn Fn(usize) -> String>> = Vec::new();
        let own = |alone: bool| named.iter().filter(move |(is_alone, _)| *is_alone == alone).map(|(_, text)| text);
        let words: Vec<String> = own(true).filter(|text| text.parse::<f64>().is_err()).cloned().collect();
        let is_text = base.category == "S";
        if is_text && !words.is_empty() {
            // Each row begins with a different one.
            for at in 0..words.len() {
                let words = words.clone();
                make.push(Box::new(move |row| words[(row - 1 + at) % words.len()].clone()));
            }
            for pattern in &words {
                if let Some(hir) = pattern_of(pattern) {
                    make.push(Box::new(move |row| matching(&hir, row)));
                }
            }
        }
        let (name, category, labels) = (base.name.clone(), base.category.clone(), base.labels.clone());
        let plain = move |row: usize| match labels.as_slice() {
            [] => generic(&name, &category, row),
            labels => labels[(row - 1) % labels.len()].clone(),
        };
        make.push(Box::new(plain));
        for number in own(true).chain(own(false)).filter_map(|text| text.parse::<i64>().ok()) {
            match (is_text, base.name.as_str(), usize::try_from(number)) {
                (true, _, Ok(length)) if length <= LONGEST => {
                    make.push(Box::new(move |row| format!("{row:0>length$}")));
                }
                (_, "bytea", Ok(length)) if length <= LONGEST => {
                    make.push(Box::new(move |row| format!("\\x{row:0>width$}", width = 2 * length)));
                }
                _ if base.category == "N" => {
                    for step in [0, 1, -1] {
                        make.push(Box::new(move |row| {
                            let away = i64::try_from(row).unwrap_or_default() * step;
                            number.saturating_add(away).to_string()
                        }));
                    }
                }
                _ => {}
            }
        }
        if is_text {
            make.extend(
                own(false).cloned().map(|text| -> Box<dyn Fn(usize) -> String> { Box::new(move |_| text.clone()) }),
            );
        }
        Self { type_name, nullable, make }
    }

    /// The number of candidates.
    pub fn count(&self) -> usize {
        self.make.len() + usize::from(self.nullable)
    }

    /// The SQL of a candidate. NULL, if allowed, is the first candidate of the last row and the second of the others.
    pub fn get(&self, row: usize, choice: usize) -> String {
        let null = usize::from(row != ROWS);
        let choice = match (self.nullable, choice) {
            (true, choice) if choice == null => return "NULL".to_owned(),
            (true, choice) if choice > null => choice - 1,
            (_, choice) => choice,
        };
        let text = self.make[choice](row);
        format!("'{}'::{}", text.replace('\'', "''"), self.type_name)
    }
}

/// The texts and numbers in a constraint's definition, in their order.
pub fn literals(definition: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = definition;
    while let Some(c) = rest.chars().next() {
        let length = if c == '\'' {
            let mut text = String::new();
            let mut characters = rest.char_indices().skip(1).peekable();
            let mut length = rest.len();
            while let Some((at, c)) = characters.next() {
                match c {
                    '\'' if characters.next_if(|(_, next)| *next == '\'').is_none() => {
                        length = at + 1;
                        break;
                    }
                    c => text.push(c),
                }
            }
            found.push(text);
            length
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if c.is_ascii_digit() {
                found.push(rest[..length].to_owned());
            }
            length
        } else {
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    found.dedup();
    found
}

/// A different value of a type for each row. An unknown type gets an empty text, which PostgreSQL may refuse.
fn generic(name: &str, category: &str, row: usize) -> String {
    match (name, category) {
        (_, "A") => "{}".to_owned(),
        (_, "R") => "empty".to_owned(),
        (_, "N" | "S") => row.to_string(),
        ("bool", _) => (row % 2 == 1).to_string(),
        ("date" | "timestamp" | "timestamptz", _) => format!("2024-02-{row:02}"),
        ("time" | "timetz", _) => format!("{row:02}:00"),
        ("interval", _) => format!("{row} days"),
        ("uuid", _) => format!("00000000-0000-4000-8000-{row:012}"),
        ("json" | "jsonb", _) => format!("{{\"row\": {row}}}"),
        ("bytea", _) => format!("\\x{row:02x}"),
        ("inet" | "cidr", _) => format!("192.0.2.{row}"),
        ("macaddr", _) => format!("08:00:2b:01:02:{row:02x}"),
        ("xml", _) => format!("<row>{row}</row>"),
        ("bit", _) => "0".to_owned(),
        ("point", _) => format!("({row},{row})"),
        ("tsvector" | "tsquery", _) => format!("row{row}"),
        _ => String::new(),
    }
}

/// A literal as a regular expression, if it looks like one.
fn pattern_of(text: &str) -> Option<Hir> {
    let is_one = text.contains(['^', '[', '$', '*', '+']);
    let parsed = is_one.then(|| ParserBuilder::new().unicode(false).utf8(false).build().parse(text).ok());
    parsed.flatten()
}

/// A short text that matches a pattern, different for each row if possible.
fn matching(pattern: &Hir, row: usize) -> String {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => String::new(),
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        HirKind::Class(class) => {
            let characters: Vec<char> = match class {
                Class::Bytes(bytes) => {
                    bytes.ranges().iter().flat_map(|r| (r.start()..=r.end()).map(char::from)).collect()
                }
                Class::Unicode(all) => all.ranges().iter().flat_map(|r| (r.start()..=r.end()).take(64)).collect(),
            };
            let mut shown: Vec<char> = characters.iter().copied().filter(|c| c.is_ascii_graphic()).collect();
            // Letters and digits first: the class of `.` begins with punctuation.
            shown.sort_by_key(|c| !c.is_ascii_alphanumeric());
            let at = (row - 1) % shown.len().max(1);
            shown.get(at).map(char::to_string).unwrap_or_default()
        }
        HirKind::Repetition(repetition) => {
            let times = (repetition.min as usize).clamp(usize::from(repetition.max != Some(0)), LONGEST);
            matching(&repetition.sub, row).repeat(times)
        }
        HirKind::Capture(capture) => matching(&capture.sub, row),
        HirKind::Concat(parts) => parts.iter().map(|part| matching(part, row)).collect(),
        HirKind::Alternation(parts) => matching(&parts[(row - 1) % parts.len()], row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_names_its_texts_and_numbers() {
        let rule = "CHECK (((state)::text = ANY (ARRAY['o''pen'::text, 'paid'::text])) AND (int4_2 > 12))";
        assert_eq!(literals(rule), ["o'pen", "paid", "12"]);
    }

    #[test]
    fn a_generated_text_matches_its_pattern() {
        for (pattern, text) in
            [("^[A-Z]{3}-[0-9]+$", "BBB-1"), ("^(a|b)?c.*$", "bc1"), ("^[0-7][0-9A-HJKMNP-TV-Z]{4}$", "11111")]
        {
            assert_eq!(matching(&pattern_of(pattern).unwrap(), 2), text, "{pattern}");
        }
        assert!(pattern_of("paid").is_none());
    }
}
