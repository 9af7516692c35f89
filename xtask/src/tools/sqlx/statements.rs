//! Splits SQL into statements. Parses only what is needed to find their ends and words.
//!
//! <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'s> {
    /// Its first line.
    pub line: usize,
    /// Its text from the first word on, without the semicolon.
    pub text: &'s str,
    /// Its words in upper case, without comments and quoted text.
    words: Vec<String>,
}

/// The statements of a text.
pub fn statements(sql: &str) -> Vec<Statement<'_>> {
    let plain = plain(sql);
    let (mut found, mut from, mut parentheses) = (Vec::new(), 0, 0usize);
    for (at, byte) in plain.bytes().enumerate() {
        match byte {
            b'(' => parentheses += 1,
            b')' => parentheses = parentheses.saturating_sub(1),
            b';' if parentheses == 0 && !in_body(&words(&plain[from..at])) => {
                found.extend(statement(sql, &plain, from, at));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(statement(sql, &plain, from, plain.len()));
    found
}

impl Statement<'_> {
    /// The operation that may break older code or lose data, if it has one. A heuristic, not a proof.
    pub fn destroys(&self) -> Option<&'static str> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let has = |wanted: &[&str]| words.windows(wanted.len()).any(|some| some == wanted);
        let alters_table = words.starts_with(&["ALTER", "TABLE"]);
        if has(&["DROP", "TABLE"]) {
            return Some("DROP TABLE");
        }
        // `DROP name` drops a column, unless the name is one of these keywords.
        let others = ["CONSTRAINT", "DEFAULT", "NOT", "EXPRESSION", "IDENTITY"];
        if alters_table && words.windows(2).any(|pair| pair[0] == "DROP" && !others.contains(&pair[1])) {
            return Some("DROP COLUMN");
        }
        let column_type = |from: usize| {
            let rest = &words[from + 1..];
            let rest = rest.strip_prefix(&["COLUMN"]).unwrap_or(rest);
            let rest = rest.get(1..).unwrap_or_default();
            rest.starts_with(&["TYPE"]) || rest.starts_with(&["SET", "DATA", "TYPE"])
        };
        if alters_table && (1..words.len()).any(|at| words[at] == "ALTER" && column_type(at)) {
            return Some("ALTER COLUMN … TYPE");
        }
        if words.first() == Some(&"ALTER") && has(&["RENAME"]) && !has(&["RENAME", "CONSTRAINT"]) {
            return Some("RENAME");
        }
        if words.first() == Some(&"TRUNCATE") {
            return Some("TRUNCATE");
        }
        has(&["DELETE", "FROM"]).then_some("DELETE")
    }

    /// Its first line, for messages.
    pub fn start(&self) -> String {
        let mut lines = self.text.lines();
        let first = lines.next().unwrap_or_default().trim_end();
        if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }
    }
}

fn statement<'s>(sql: &'s str, plain: &str, from: usize, to: usize) -> Option<Statement<'s>> {
    let words = words(&plain[from..to]);
    if words.is_empty() {
        return None;
    }
    let begin = from + (plain[from..to].len() - plain[from..to].trim_start().len());
    let line = 1 + sql[..begin].matches('\n').count();
    Some(Statement { line, text: sql[begin..to].trim_end(), words })
}

fn words(plain: &str) -> Vec<String> {
    let words = plain.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '"');
    words.filter(|word| !word.is_empty()).map(str::to_uppercase).collect()
}

/// Whether these words end inside the body of a function (`BEGIN ATOMIC … END`).
fn in_body(words: &[String]) -> bool {
    let Some(begin) = words.windows(2).position(|pair| pair[0] == "BEGIN" && pair[1] == "ATOMIC") else { return false };
    let count = |word: &str| words[begin..].iter().filter(|found| *found == word).count();
    1 + count("CASE") > count("END")
}

/// The text with spaces instead of comments and quoted text, with the same length in bytes. The quotes of names stay.
fn plain(sql: &str) -> String {
    let mut plain = String::with_capacity(sql.len());
    let mut rest = sql;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let (length, is_name) = match first {
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (comment(rest), false),
            '\'' => (quoted(rest, '\'', matches!(before, 'e' | 'E')), false),
            '"' => (quoted(rest, '"', false), true),
            '$' if !before.is_alphanumeric() && before != '_' => (dollar_quoted(rest).unwrap_or(0), false),
            _ => (0, false),
        };
        if length == 0 {
            plain.push(first);
            before = first;
            rest = &rest[first.len_utf8()..];
            continue;
        }
        for c in rest[..length].chars() {
            match c {
                '\n' => plain.push('\n'),
                '"' if is_name => plain.push('"'),
                // The same number of bytes, so that offsets stay.
                _ if is_name => plain.extend(std::iter::repeat_n('_', c.len_utf8())),
                _ => plain.extend(std::iter::repeat_n(' ', c.len_utf8())),
            }
        }
        before = ' ';
        rest = &rest[length..];
    }
    plain
}

/// The length of a comment, which may be nested.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of quoted text. A doubled quote ends it, too: the next quoted text begins there.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        if escapes && c == '\\' {
            characters.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// The length of `$tag$ … $tag$`; none for another `$`.
fn dollar_quoted(text: &str) -> Option<usize> {
    let end = 1 + text[1..].find('$')?;
    let tag = &text[..=end];
    let is_tag =
        tag[1..end].chars().all(|c| c.is_alphanumeric() || c == '_') && !tag[1..].starts_with(char::is_numeric);
    is_tag.then(|| text[tag.len()..].find(tag).map_or(text.len(), |found| found + 2 * tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_as_in_postgresql() {
        let sql = "-- one; two\nCREATE TABLE a (b text DEFAULT 'x;''y');\n/* ; /* ; */ ; */\n\
                   INSERT INTO \"a;b\" VALUES (E'\\';', $$ ; $$, $q$ ; $$ ; $q$);\n\n\
                   CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n\
                   CREATE RULE r AS ON INSERT TO a DO ALSO (SELECT 1; SELECT 2);\nSELECT 'ä;', \"ö;\" -- end;\n";
        let found = statements(sql);
        let starts: Vec<(usize, &str)> =
            found.iter().map(|one| (one.line, one.text.split(' ').nth(1).unwrap())).collect();
        assert_eq!(starts, [(2, "TABLE"), (4, "INTO"), (6, "FUNCTION"), (7, "RULE"), (8, "'ä;',")], "{found:#?}");
    }

    #[test]
    fn destructive_statements_are_named() {
        for (sql, destroys) in [
            ("DROP TABLE a", Some("DROP TABLE")),
            ("drop table if exists a", Some("DROP TABLE")),
            ("ALTER TABLE a ADD b int, DROP COLUMN c", Some("DROP COLUMN")),
            ("ALTER TABLE a DROP c", Some("DROP COLUMN")),
            ("ALTER TABLE a DROP CONSTRAINT c, ALTER COLUMN d DROP NOT NULL, ALTER e DROP DEFAULT", None),
            ("ALTER TABLE a ALTER COLUMN \"the b\" SET DATA TYPE int", Some("ALTER COLUMN … TYPE")),
            ("ALTER TABLE a ALTER b TYPE int", Some("ALTER COLUMN … TYPE")),
            ("ALTER TABLE a ADD COLUMN type text, ALTER COLUMN type SET NOT NULL", None),
            ("ALTER TABLE a RENAME COLUMN b TO c", Some("RENAME")),
            ("ALTER TABLE a RENAME CONSTRAINT b TO c", None),
            ("TRUNCATE a", Some("TRUNCATE")),
            ("WITH b AS (DELETE FROM a RETURNING *) SELECT 1", Some("DELETE")),
            ("CREATE TABLE b (c int REFERENCES a ON DELETE CASCADE, d text DEFAULT 'DROP TABLE')", None),
            ("COMMENT ON TABLE a IS 'ALTER TABLE a DROP b'", None),
        ] {
            assert_eq!(statements(sql)[0].destroys(), destroys, "{sql}");
        }
    }
}
