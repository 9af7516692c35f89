//! The part of GitHub's expressions that rendered workflows use: literals, paths into contexts, `==`, `!=`, `&&`, `||`, and the
//! functions `always`, `failure` and `startsWith`. Comparisons ignore case, and what a context lacks is empty, as at GitHub.

use anyhow::{Result, bail};

/// What expressions ask for.
pub trait Contexts {
    /// The value at a path such as `github.event_name`; none where there is none.
    fn value(&self, path: &str) -> Result<Option<String>>;

    /// Whether a step or job before has failed.
    fn has_failed(&self) -> bool;
}

/// A text with each `${{ … }}` in it replaced by its value.
pub fn interpolate(text: &str, contexts: &impl Contexts) -> Result<String> {
    let (mut whole, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((expression, after)) = after.split_once("}}") else { bail!("`${{{{` has no end in {text}") };
        whole.push_str(before);
        whole.push_str(&value(expression, contexts)?);
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// Whether a condition holds. Unless it asks about failures itself, it holds only while nothing has failed.
pub fn holds(condition: &str, contexts: &impl Contexts) -> Result<bool> {
    let condition = condition.trim();
    let inner = condition.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(condition);
    let asks = ["always()", "failure()", "cancelled()"].iter().any(|function| inner.contains(function));
    Ok((asks || !contexts.has_failed()) && is_true(&value(inner, contexts)?))
}

/// The value of an expression, as text.
fn value(expression: &str, contexts: &impl Contexts) -> Result<String> {
    let tokens = tokens(expression)?;
    let mut reader = Reader { tokens: &tokens, contexts, expression };
    let value = reader.any()?;
    match reader.tokens {
        [] => Ok(value),
        _ => bail!("`ci run` does not know the expression {}", expression.trim()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    Path(String),
    Operator(&'static str),
}

const OPERATORS: [&str; 8] = ["==", "!=", "&&", "||", "(", ")", "!", ","];

fn tokens(expression: &str) -> Result<Vec<Token>> {
    let (mut tokens, mut rest) = (Vec::new(), expression.trim_start());
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('\'') {
            let Some(end) = after.find('\'') else { bail!("a text has no end in {expression}") };
            tokens.push(Token::Text(after[..end].to_owned()));
            rest = &after[end + 1..];
        } else if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
            tokens.push(Token::Operator(operator));
            rest = &rest[operator.len()..];
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if end == 0 {
                bail!("`ci run` does not know the expression {}", expression.trim());
            }
            tokens.push(Token::Path(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Reader<'a, C> {
    tokens: &'a [Token],
    contexts: &'a C,
    expression: &'a str,
}

impl<C: Contexts> Reader<'_, C> {
    fn any(&mut self) -> Result<String> {
        let mut value = self.all()?;
        while self.takes("||") {
            let other = self.all()?;
            value = if is_true(&value) { value } else { other };
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<String> {
        let mut value = self.comparison()?;
        while self.takes("&&") {
            let other = self.comparison()?;
            value = if is_true(&value) { other } else { value };
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Result<String> {
        let value = self.one()?;
        for (operator, equal) in [("==", true), ("!=", false)] {
            if self.takes(operator) {
                return Ok((value.eq_ignore_ascii_case(&self.one()?) == equal).to_string());
            }
        }
        Ok(value)
    }

    fn one(&mut self) -> Result<String> {
        if self.takes("!") {
            return Ok((!is_true(&self.one()?)).to_string());
        }
        if self.takes("(") {
            let value = self.any()?;
            return if self.takes(")") { Ok(value) } else { self.unknown() };
        }
        let Some((token, rest)) = self.tokens.split_first() else { return self.unknown() };
        self.tokens = rest;
        match token {
            Token::Text(text) => Ok(text.clone()),
            Token::Path(path) if self.takes("(") => {
                let known = match path.as_str() {
                    "always" => true,
                    "failure" => self.contexts.has_failed(),
                    "startsWith" => {
                        let text = self.any()?.to_lowercase();
                        if !self.takes(",") {
                            return self.unknown();
                        }
                        text.starts_with(&self.any()?.to_lowercase())
                    }
                    _ => return self.unknown(),
                };
                if self.takes(")") { Ok(known.to_string()) } else { self.unknown() }
            }
            Token::Path(path) if path == "true" || path == "false" => Ok(path.clone()),
            Token::Path(path) => Ok(self.contexts.value(path)?.unwrap_or_default()),
            Token::Operator(_) => self.unknown(),
        }
    }

    fn takes(&mut self, operator: &str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Operator(next), rest)) if *next == operator => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn unknown<T>(&self) -> Result<T> {
        bail!("`ci run` does not know the expression {}", self.expression.trim())
    }
}

fn is_true(value: &str) -> bool {
    !matches!(value, "" | "false" | "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Push {
        failed: bool,
    }

    impl Contexts for Push {
        fn value(&self, path: &str) -> Result<Option<String>> {
            Ok(match path {
                "github.event_name" => Some("push".to_owned()),
                "inputs.version" => Some("v1".to_owned()),
                _ => None,
            })
        }

        fn has_failed(&self) -> bool {
            self.failed
        }
    }

    #[test]
    fn conditions_are_what_github_says() {
        let (good, failed) = (Push { failed: false }, Push { failed: true });
        for (condition, is_good, is_failed) in [
            ("github.event_name == 'PUSH'", true, false),
            ("github.event_name == 'pull_request' && github.x == ''", false, false),
            ("github.event_name == 'release' || inputs.version == 'v1'", true, false),
            ("${{ !(github.event_name != 'push') }}", true, false),
            ("needs.plan.outputs.approval != ''", false, false),
            ("github.event_name == 'release' || startsWith(inputs.version, 'V')", true, false),
            ("startsWith(inputs.version, 'v2')", false, false),
            ("always()", true, true),
            ("failure()", false, true),
        ] {
            assert_eq!(holds(condition, &good).unwrap(), is_good, "{condition}");
            assert_eq!(holds(condition, &failed).unwrap(), is_failed, "{condition}");
        }
        for unknown in ["hashFiles('Cargo.lock')", "a ==", "(a", "a + b", "'a", "startsWith('a')"] {
            holds(unknown, &good).unwrap_err();
        }
    }

    #[test]
    fn expressions_in_a_text_are_replaced() {
        let text = interpolate("a ${{ github.event.release.tag_name || inputs.version }} b", &Push { failed: false });
        assert_eq!(text.unwrap(), "a v1 b");
        interpolate("${{ a", &Push { failed: false }).unwrap_err();
    }
}
