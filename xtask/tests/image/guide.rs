//! The commands that a guide in `docs` shows.

/// Those of its first block, in order: the arguments of each, as they stand.
pub fn commands(guide: &str) -> Vec<Vec<&str>> {
    let (_, block) = guide.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    block.lines().map(arguments).collect()
}

fn arguments(line: &str) -> Vec<&str> {
    let (command, _) = line.split_once('#').unwrap_or((line, ""));
    command.trim().strip_prefix("cargo xtask ").unwrap().split_whitespace().collect()
}
