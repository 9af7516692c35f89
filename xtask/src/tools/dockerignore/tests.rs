use super::*;

fn excluded<'p>(rules: &str, paths: &[&'p str]) -> Vec<&'p str> {
    let ignore = Dockerignore::parse(rules.as_bytes()).unwrap();
    let mut walk = ignore.walk();
    paths.iter().filter(|path| walk.excludes(path.as_bytes())).copied().collect()
}

fn refused(rules: &[u8]) -> String {
    format!("{:#}", Dockerignore::parse(rules).err().unwrap_or_else(|| panic!("{rules:?} is accepted")))
}

/// Patterns, paths that Docker excludes by them, and paths that it keeps: what Docker's own tests state, and what its library
/// answered when it was asked.
const FACTS: &[(&str, &[&str], &[&str])] = &[
    ("**", &["file", "dir/file"], &[]),
    ("**/", &["file", "dir/file"], &[]),
    ("**/**", &["dir/file"], &[]),
    ("***", &["file", "dir/file"], &[]),
    ("dir/**", &["dir/file", "dir/dir2/file"], &["dir", "directory"]),
    ("**/dir", &["dir", "dir/file", "a/dir/b"], &["a/dirs"]),
    ("**/dir2/*", &["dir/dir2/file", "dir2/file"], &["dir/file"]),
    ("**/dir2/**", &["dir/dir2/dir3/file"], &["dir/dir2"]),
    ("**file", &["file", "dir/file", "dir/dir/file", "profile"], &["file.txt"]),
    ("**/file", &["dir/file", "dir/dir/file"], &["dir/profile"]),
    ("**.md", &["README.md", "docs/a.md", ".md"], &["README.mdx"]),
    ("**/file*txt", &["dir/dir/file.txt", "filetxt"], &["dir/file.txt2"]),
    ("**/**/*.txt", &["dir/dir/file.txt", "file.txt"], &["dir/file.txt2"]),
    ("a**/*.txt", &["a/file.txt", "a/dir/file.txt", "a/dir/dir/file.txt"], &["b/file.txt"]),
    ("a/*.txt", &["a/file.txt"], &["a/dir/file.txt"]),
    ("a/*.txt**", &["a/file.txt", "a/file.txt.bak"], &["file.txt"]),
    (".env**", &[".env", ".env.local", ".environment/x"], &["a/.env"]),
    ("a[b-d]e", &["ace"], &["ae", "aae"]),
    ("a[^b-d]e", &["aze", "a/e"], &["ace"]),
    // An exclamation mark is a member, and what is not in the set may be a slash.
    ("[!a]b", &["!b", "ab"], &["cb"]),
    ("a[^b]c", &["a/c", "axc"], &["abc"]),
    (".*", &[".foo"], &["foo"]),
    ("abc.def", &["abc.def"], &["abcdef", "abcZdef"]),
    ("abc?def", &["abcZdef"], &["abcdef", "abc/def"]),
    ("**/foo/bar", &["foo/bar", "dir/foo/bar", "dir/dir2/foo/bar"], &["foo/baz"]),
    ("**/.foo", &[".foo", "a/.foo"], &["bar.foo"]),
    ("a(b)c/def", &["a(b)c/def"], &["a(b)c/xyz"]),
    ("a.|)$(}+{bc", &["a.|)$(}+{bc"], &["a"]),
    ("dist/*.whl", &["dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl"], &["dist/a/b.whl"]),
    ("a\\*b", &["a*b"], &["ab", "axb"]),
    ("a\\\\", &["a\\"], &["a"]),
    ("*", &["abc", "ab/c"], &[]),
    ("a*/b", &["abc/b"], &["a/c/b"]),
    ("a*b*c*d*e*/f", &["axbxcxdxe/f", "axbxcxdxexxx/f"], &["axbxcxdxe/xxx/f", "axbxcxdxexxx/fff"]),
    ("a*b?c*x", &["abxbbxdbxebxczzx"], &["abxbbxdbxebxczzy"]),
    ("a?b", &["a☺b"], &["a/b"]),
    ("a???b", &[], &["a☺b"]),
    ("[a-ζ]*", &["α"], &["A"]),
    ("[\\]a]", &["]", "a"], &["b"]),
    ("[x\\-]", &["x", "-"], &["z"]),
    // What the regular expression means beyond the documented syntax.
    ("a[x*]", &["ax]", "a[]", "a//]"], &["a*"]),
    ("*.a|b", &["x.a", "x.ab", "b", "x.b"], &["a"]),
    ("?{2}", &["ab"], &["a", "abc"]),
    ("[[:digit:]]", &["1"], &["a"]),
    ("src\\d*", &["src1/x"], &["srcd", "src/d"]),
    ("*^", &[], &["a^", "^"]),
    // Paths of rules.
    ("/target/", &["target/x/y"], &["target.txt", "a/target"]),
    ("./d.log", &["d.log"], &[]),
    ("a/../d.log", &["d.log"], &["a/d.log"]),
    ("../d.log", &[], &["d.log"]),
    ("\u{feff}a", &["a"], &["b"]),
    // A comment begins in the first column.
    ("#a\n #b", &["#b"], &["#a", "b"]),
    ("  a  \r\n\t", &["a"], &["a  "]),
    ("\u{a0}a\u{3000}", &["a"], &[]),
    // The last rule that matches decides.
    ("docs\n!docs/README.md", &["docs/a"], &["docs/README.md"]),
    ("docs/\n!docs/README.md", &["docs/a"], &["docs/README.md"]),
    ("docs/*\n! /docs/README.md", &["docs/a"], &["docs/README.md"]),
    ("!a.go\n*.go", &["a.go"], &[]),
    ("*.go\n!a.go", &["b.go"], &["a.go"]),
    ("**\n!util/web", &["util/x"], &["util/web/foo"]),
    ("**\n!util/web\nutil/web/foo", &["util/web/foo"], &["util/web/bar"]),
    ("*\n!a\n**/*.md", &["b", "a/x.md"], &["a/x"]),
    // The folder `a` is not excluded, so that `!?` matches it is not noted.
    ("*/**\n!?", &["a/b"], &["a", "b"]),
    // The mark is read again from the cleaned line.
    ("*\n/!a", &["b"], &["a"]),
];

#[test]
fn rules_are_read_as_docker_reads_them() {
    for (rules, out, kept) in FACTS {
        let paths = [*out, *kept].concat();
        assert_eq!(excluded(rules, &paths), *out, "{rules:?}");
    }
}

#[test]
fn an_invalid_rule_is_an_error_with_its_line() {
    assert_eq!(refused(b"ok\n[a"), "line 2: [a: a `[` has no `]`");
    for rules in [
        "!",
        "! ",
        "!/",
        "[",
        "[^",
        "[^bc",
        "a[",
        "[]a]",
        "[-]",
        "[x-]",
        "[-x]",
        "[a-b-c]",
        "\\",
        "a\\",
        "*[",
        "a*\\",
        "\\p",
        "\\pL*",
        "*\\c",
        "[b-a]",
        "[[:nothing:]]",
        "*{2}",
        "*|{2}",
        "?{1001}",
        "?{3,2}",
        "?{99999999999999999999}",
    ] {
        assert!(refused(rules.as_bytes()).starts_with("line 1: "), "{rules}");
    }
    assert!(refused(&[b'x'; 2].repeat(2).iter().chain(b"\n[\xfc]").copied().collect::<Vec<_>>()).contains("UTF-8"));
    assert!(refused("?{1000}".repeat(200).as_bytes()).contains("too large"));
}

#[test]
fn names_that_are_not_utf_8_are_matched() {
    let excludes = |rules: &[u8], path: &[u8]| Dockerignore::parse(rules).unwrap().walk().excludes(path);
    assert!(excludes(b"secret*", b"secret-\xfc.txt"));
    assert!(excludes(b"secret-?.txt", b"secret-\xfc.txt"));
    assert!(!excludes(b"secret-?.txt", b"secret-\xfc\xfc.txt"));
    assert!(excludes(b"gr\xfc\xdfe", b"gr\xfc\xdfe"));
    assert!(!excludes(b"gr\xfc\xdfe", b"gr\xfd\xdfe"));
    assert!(excludes(b"**/gr\xfc\xdfe", b"a/gr\xfc\xdfe"));
    assert!(excludes(b"\xfc/**", b"\xfc/a"));
}

/// Patterns whose expression could be followed in exponentially many ways are as fast as others.
#[test]
fn no_pattern_takes_exponential_time() {
    let path = "a".repeat(400);
    assert!(excluded(&format!("{}b", "*a".repeat(200)), &[&path]).is_empty());
    assert!(excluded(&format!("{}b?", "**/a".repeat(100)), &[&path]).is_empty());
}

#[test]
fn no_text_makes_it_panic_and_answers_do_not_depend_on_the_order_of_questions() {
    const PIECES: [&[u8]; 40] = [
        b"*",
        b"**",
        b"***",
        b"?",
        b"[",
        b"]",
        b"[a",
        b"[^a]",
        b"[!a]",
        b"[a-c]",
        b"[[:alpha:]]",
        b"[[:^",
        b"^",
        b"!",
        b"-",
        b"\\",
        b"/",
        b"/",
        b".",
        b"..",
        b"a",
        b"b",
        b"ab",
        b".md",
        b"{",
        b"}",
        b"{2}",
        b"{1,}",
        b"{0,9}",
        b"|",
        b"(",
        b")",
        b"+$",
        b"\\d",
        b"\\x4",
        b"\\07",
        b"\n",
        b"\xfc",
        "é☺".as_bytes(),
        b"# \t",
    ];
    let mut random = Random(20);
    let (mut valid, mut both) = (0, [0, 0]);
    for _ in 0..20_000 {
        let rules: Vec<u8> = (0..random.below(12)).flat_map(|_| PIECES[random.below(PIECES.len())]).copied().collect();
        let Ok(ignore) = Dockerignore::parse(&rules) else { continue };
        valid += 1;
        let mut path = || (0..1 + random.below(4)).map(|_| PIECES[16 + random.below(24)]).collect::<Vec<_>>().concat();
        let paths: Vec<_> = (0..6).map(|_| path()).collect();
        let mut walk = ignore.walk();
        let answers: Vec<_> = paths.iter().map(|path| walk.excludes(path)).collect();
        for (path, answer) in paths.iter().zip(answers).rev() {
            assert_eq!(ignore.walk().excludes(path), answer, "{rules:?}, {path:?}");
            both[usize::from(answer)] += 1;
        }
    }
    assert!(valid > 5000 && both.iter().all(|&count| count > 1000), "{valid} {both:?}");
}

/// Numbers that are the same in every run: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}
