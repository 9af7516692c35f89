//! The regular expressions that Docker makes of patterns, in the syntax of Go's package `regexp`: as much of it as a pattern can
//! contain. A crate of regular expressions reads some of it in another way (`[a[b]`, `\d`). Takes time in proportion to the
//! product of both lengths.

use std::iter::Peekable;
use std::slice::Iter;

use anyhow::{Context as _, Result, ensure};

mod class;

use self::class::Set;

/// The most nodes of an expression.
const LIMIT: usize = 100_000;

/// The most repetitions of one node.
const REPEATS: usize = 1000;

/// A regular expression.
#[derive(Debug)]
pub struct Regex {
    /// Any of them may match, anywhere in the text.
    alternatives: Vec<Vec<Node>>,
}

#[derive(Clone, Debug)]
enum Node {
    One(Set),
    /// Any number.
    Many(Set),
    /// The next nodes may be left out: so many.
    Skip(usize),
    At(Position),
}

#[derive(Clone, Copy, Debug)]
enum Position {
    Start,
    End,
    /// Between a letter, digit or underscore and something else.
    WordEdge,
    NoWordEdge,
}

type Characters<'a> = Peekable<Iter<'a, char>>;

impl Regex {
    /// Parses an expression. Fails where Go would, and for names of Unicode classes and quoted runs.
    pub fn parse(text: &str) -> Result<Self> {
        let text: Vec<char> = text.chars().collect();
        let mut characters = text.iter().peekable();
        let mut alternatives = vec![Vec::new()];
        let mut size = 0;
        while let Some(&character) = characters.next() {
            if character == '|' {
                ensure!(repetition(&mut characters.clone()).is_none(), "there is nothing to repeat");
                alternatives.push(Vec::new());
                continue;
            }
            let nodes = match character {
                // Only as `(.*/)?`.
                '(' => {
                    ensure!(characters.by_ref().take(5).eq(&['.', '*', '/', ')', '?']), "an unexpected parenthesis");
                    vec![Node::Skip(2), Node::Many(Set::any()), Node::One(Set::of('/'))]
                }
                character => repeated(node(character, &mut characters)?, &mut characters)?,
            };
            ensure!(repetition(&mut characters.clone()).is_none(), "what is repeated already cannot be repeated");
            size += nodes.len();
            ensure!(size <= LIMIT, "the pattern is too large");
            alternatives.last_mut().context("an expression has an alternative")?.extend(nodes);
        }
        Ok(Self { alternatives })
    }

    /// Whether a part of the text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let text = decode(text);
        self.alternatives.iter().any(|nodes| matches(nodes, &text))
    }
}

/// The characters of a text as Go decodes it: every byte that is not UTF-8 is one replacement character.
pub fn decode(text: &[u8]) -> Vec<char> {
    let mut characters = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        characters.extend(chunk.valid().chars());
        characters.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    characters
}

/// The node that begins with this character.
fn node(character: char, rest: &mut Characters<'_>) -> Result<Node> {
    Ok(match character {
        '^' => Node::At(Position::Start),
        '$' => Node::At(Position::End),
        '.' => Node::One(Set::any()),
        '[' => Node::One(Set::parse(rest)?),
        '\\' => {
            let position = match rest.peek() {
                Some('A') => Some(Position::Start),
                Some('z') => Some(Position::End),
                Some('b') => Some(Position::WordEdge),
                Some('B') => Some(Position::NoWordEdge),
                _ => None,
            };
            if let Some(position) = position {
                rest.next();
                return Ok(Node::At(position));
            }
            Node::One(Set::escaped(rest)?)
        }
        character => Node::One(Set::of(character)),
    })
}

/// A node as often as what follows says.
fn repeated(node: Node, rest: &mut Characters<'_>) -> Result<Vec<Node>> {
    let Some((least, most)) = repetition(rest) else { return Ok(vec![node]) };
    ensure!(
        least <= REPEATS && most.is_none_or(|most| least <= most && most <= REPEATS),
        "such a count of repetitions"
    );
    let mut nodes = vec![node.clone(); least];
    match (node, most) {
        (Node::One(set), None) => nodes.push(Node::Many(set)),
        (node, Some(most)) => {
            for _ in least..most {
                nodes.extend([Node::Skip(1), node.clone()]);
            }
        }
        // A position is either there or not.
        (_, None) => {}
    }
    Ok(nodes)
}

/// `*`, `{2}`, `{2,}` or `{2,3}`: the least and the most. Anything else that begins with a brace is text.
fn repetition(characters: &mut Characters<'_>) -> Option<(usize, Option<usize>)> {
    if characters.next_if(|next| **next == '*').is_some() {
        return Some((0, None));
    }
    let mut ahead = characters.clone();
    ahead.next_if(|next| **next == '{')?;
    let least = number(&mut ahead)?;
    let most = match ahead.next_if(|next| **next == ',') {
        Some(_) if ahead.peek() == Some(&&'}') => None,
        Some(_) => Some(number(&mut ahead)?),
        None => Some(least),
    };
    ahead.next_if(|next| **next == '}')?;
    *characters = ahead;
    Some((least, most))
}

/// A number without leading zeros. One that is too large is larger than every limit.
fn number(characters: &mut Characters<'_>) -> Option<usize> {
    let mut digits = String::new();
    while let Some(digit) = characters.next_if(|next| next.is_ascii_digit()) {
        digits.push(*digit);
    }
    let is_number = !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'));
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Follows all ways through the nodes at once.
fn matches(nodes: &[Node], text: &[char]) -> bool {
    let mut now = vec![false; nodes.len() + 1];
    let mut next = now.clone();
    let mut waiting = Vec::new();
    let mut enter = |state: usize, at: usize, states: &mut [bool]| {
        waiting.push(state);
        while let Some(state) = waiting.pop() {
            if std::mem::replace(&mut states[state], true) {
                continue;
            }
            match nodes.get(state) {
                Some(Node::Skip(count)) => waiting.extend([state + 1, state + 1 + count]),
                Some(Node::Many(_)) => waiting.push(state + 1),
                Some(Node::At(position)) if position.is_at(text, at) => waiting.push(state + 1),
                _ => {}
            }
        }
    };
    for at in 0..=text.len() {
        enter(0, at, &mut now);
        if now[nodes.len()] {
            return true;
        }
        let Some(&character) = text.get(at) else { return false };
        next.fill(false);
        for (state, node) in nodes.iter().enumerate().filter(|(state, _)| now[*state]) {
            match node {
                Node::One(set) if set.has(character) => enter(state + 1, at + 1, &mut next),
                Node::Many(set) if set.has(character) => enter(state, at + 1, &mut next),
                _ => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    false
}

impl Position {
    fn is_at(self, text: &[char], at: usize) -> bool {
        let is_word = |at: Option<usize>| {
            at.and_then(|at| text.get(at)).is_some_and(|next| next.is_ascii_alphanumeric() || *next == '_')
        };
        let edge = is_word(at.checked_sub(1)) != is_word(Some(at));
        match self {
            Self::Start => at == 0,
            Self::End => at == text.len(),
            Self::WordEdge => edge,
            Self::NoWordEdge => !edge,
        }
    }
}
