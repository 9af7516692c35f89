//! Sets of characters: `[^a-z]`, `[[:alpha:]]`, `\d`, `.`.

use anyhow::{Context as _, Result, bail, ensure};

use super::Characters;

/// A set of characters.
#[derive(Clone, Debug)]
pub struct Set {
    negated: bool,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug)]
enum Member {
    Range(char, char),
    /// Those for which a function answers with this value.
    Named(fn(&char) -> bool, bool),
}

impl Set {
    /// One character.
    pub fn of(character: char) -> Self {
        Self { negated: false, members: vec![Member::Range(character, character)] }
    }

    /// All but the line break.
    pub fn any() -> Self {
        Self { negated: true, ..Self::of('\n') }
    }

    /// What stands behind a backslash outside a class.
    pub fn escaped(rest: &mut Characters<'_>) -> Result<Self> {
        let member = match perl(rest) {
            Some(member) => member,
            None => {
                let character = escape(rest)?;
                Member::Range(character, character)
            }
        };
        Ok(Self { negated: false, members: vec![member] })
    }

    /// What stands behind `[`, with the `]` at its end.
    pub fn parse(rest: &mut Characters<'_>) -> Result<Self> {
        let negated = rest.next_if(|next| **next == '^').is_some();
        let mut members = Vec::new();
        // A `]` at the begin is a member.
        while members.is_empty() || rest.next_if(|next| **next == ']').is_none() {
            members.push(member(rest)?);
        }
        Ok(Self { negated, members })
    }

    pub fn has(&self, character: char) -> bool {
        let is_member = |member: &Member| match member {
            Member::Range(first, last) => (*first..=*last).contains(&character),
            Member::Named(is_member, wanted) => is_member(&character) == *wanted,
        };
        self.members.iter().any(is_member) != self.negated
    }
}

fn member(rest: &mut Characters<'_>) -> Result<Member> {
    if let Some(named) = posix(rest)? {
        return Ok(named);
    }
    let mut behind = rest.clone();
    if behind.next() == Some(&'\\')
        && let Some(named) = perl(&mut behind)
    {
        *rest = behind;
        return Ok(named);
    }
    let first = character(rest)?;
    let mut ahead = rest.clone();
    // A `-` before the end is a member.
    if ahead.next() == Some(&'-') && ahead.peek().is_some_and(|next| **next != ']') {
        let last = character(&mut ahead)?;
        ensure!(first <= last, "the range {first}-{last} ends before it begins");
        *rest = ahead;
        return Ok(Member::Range(first, last));
    }
    Ok(Member::Range(first, first))
}

fn character(rest: &mut Characters<'_>) -> Result<char> {
    match rest.next() {
        Some('\\') => escape(rest),
        Some(character) => Ok(*character),
        None => bail!("a `[` has no `]`"),
    }
}

/// `[:alpha:]` or `[:^alpha:]`.
fn posix(rest: &mut Characters<'_>) -> Result<Option<Member>> {
    let mut ahead = rest.clone();
    if (ahead.next(), ahead.next()) != (Some(&'['), Some(&':')) {
        return Ok(None);
    }
    let text: String = ahead.clone().collect();
    let Some((name, _)) = text.split_once(":]") else { return Ok(None) };
    let (wanted, plain) = name.strip_prefix('^').map_or((true, name), |plain| (false, plain));
    let is_member: fn(&char) -> bool = match plain {
        "alnum" => char::is_ascii_alphanumeric,
        "alpha" => char::is_ascii_alphabetic,
        "ascii" => char::is_ascii,
        "blank" => |character| matches!(character, '\t' | ' '),
        "cntrl" => char::is_ascii_control,
        "digit" => char::is_ascii_digit,
        "graph" => char::is_ascii_graphic,
        "lower" => char::is_ascii_lowercase,
        "print" => |character| matches!(character, ' '..='~'),
        "punct" => char::is_ascii_punctuation,
        "space" => |character| matches!(character, '\t'..='\r' | ' '),
        "upper" => char::is_ascii_uppercase,
        "word" => is_word,
        "xdigit" => char::is_ascii_hexdigit,
        _ => bail!("there is no class [:{name}:]"),
    };
    ahead.nth(name.chars().count() + 1);
    *rest = ahead;
    Ok(Some(Member::Named(is_member, wanted)))
}

/// The letter of `\d`, `\s`, `\w` and their opposites.
fn perl(rest: &mut Characters<'_>) -> Option<Member> {
    let member = match rest.peek()? {
        'd' | 'D' => char::is_ascii_digit as fn(&char) -> bool,
        's' | 'S' => |character: &char| matches!(character, '\t' | '\n' | '\u{c}' | '\r' | ' '),
        'w' | 'W' => is_word,
        _ => return None,
    };
    rest.next().map(|letter| Member::Named(member, letter.is_ascii_lowercase()))
}

/// The character that stands behind a backslash.
fn escape(rest: &mut Characters<'_>) -> Result<char> {
    let &letter = rest.next().context("nothing follows the backslash")?;
    let refused =
        || format!("Docker's library gives `\\{letter}` a meaning of its own; write {letter} without the backslash");
    let code = match letter {
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        '0'..='7' => {
            let mut code = letter.to_digit(8).with_context(refused)?;
            let mut digits = 0;
            while let Some(digit) = rest.peek().and_then(|next| next.to_digit(8)).filter(|_| digits < 2) {
                rest.next();
                (code, digits) = (code * 8 + digit, digits + 1);
            }
            ensure!(letter == '0' || digits > 0, refused());
            code
        }
        'x' => {
            let mut digit = || rest.next().and_then(|next| next.to_digit(16)).with_context(refused);
            digit()? * 16 + digit()?
        }
        letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => return Ok(letter),
        _ => bail!(refused()),
    };
    char::from_u32(code).with_context(refused)
}

fn is_word(character: &char) -> bool {
    character.is_ascii_alphanumeric() || *character == '_'
}
