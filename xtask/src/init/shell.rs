//! Lines that a shell runs, of a Procfile or package.json, as the words of a command.

/// What a shell alone understands.
const SYNTAX: [char; 13] = ['$', '&', '|', ';', '`', '>', '<', '(', ')', '*', '~', '{', '\n'];

/// The words of a line; of what only a shell can run `sh -c` with the line, in which the last program takes the shell's place, so that
/// it gets the signals. None of a line that would leave a shell between the two, or of one that has no program.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    if !line.contains(SYNTAX) {
        let words = shlex::split(line)?;
        let assigned = words.iter().take_while(|word| is_assignment(word)).count();
        let by = if assigned == 0 { None } else { Some("env".to_owned()) };
        return (assigned < words.len()).then(|| by.into_iter().chain(words).collect());
    }
    let (before, last) = match line.rsplit_once("&&") {
        // Where it stands in quotes, it is no end of a command.
        Some(_) if line.contains(['"', '\'', '\\']) => return None,
        Some((before, last)) => (format!("{} && ", before.trim()), last.trim()),
        None => (String::new(), line),
    };
    let is_beyond = |line: &str| line.replace("&&", "").contains(['&', '|', ';', '`', '(', '\n']);
    let first = last.split_whitespace().next().filter(|_| !is_beyond(line))?;
    let env = if is_assignment(first) { "env " } else { "" };
    Some(["sh", "-c", &format!("{before}exec {env}{last}")].map(str::to_owned).into())
}

/// The program of a line: the first word behind its assignments, of its last command.
pub(super) fn program(line: &str) -> Option<&str> {
    let last = line.rsplit("&&").next().unwrap_or(line);
    last.split_whitespace().find(|word| !is_assignment(word))
}

fn is_assignment(word: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_or_one_of_a_shell_whose_place_the_program_takes() {
        for (line, expected) in [
            ("node index.js --trust 'a b'", Some(&["node", "index.js", "--trust", "a b"][..])),
            ("NODE_ENV=production node a.js", Some(&["env", "NODE_ENV=production", "node", "a.js"])),
            ("serve --bind :$PORT", Some(&["sh", "-c", "exec serve --bind :$PORT"])),
            ("cd dist && node a.js", Some(&["sh", "-c", "cd dist && exec node a.js"])),
            ("A=$B node a.js > log", Some(&["sh", "-c", "exec env A=$B node a.js > log"])),
            ("node a.js | tee log", None),
            ("node a.js & wait", None),
            ("node -e 'a && b'", None),
            ("echo $(date) && node a.js", None),
            ("A=b", None),
            ("tsc &&", None),
            ("", None),
        ] {
            let words = words(line);
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            assert_eq!(words, expected, "{line}");
        }
        assert_eq!((program("A=b tsc && B=c node a.js"), program("node a.js")), (Some("node"), Some("node")));
    }
}
