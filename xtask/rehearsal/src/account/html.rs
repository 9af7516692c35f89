//! An account as one page: a timeline as a picture, and below it the proof of each chapter.

use std::fmt::Write as _;

use super::{Account, Chapter, Outcome, duration, short};

/// The picture, in units of its own: it is as wide as the page.
const WIDTH: f64 = 960.0;
/// The column with the chapters' names.
const LABELS: f64 = 230.0;
const ROW: f64 = 26.0;
const AXIS: f64 = 24.0;
/// No bar is narrower, so that each can be seen.
const NARROWEST: f64 = 2.0;

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1f24; --soft: #5c6670; --page: #ffffff; --line: #d8dde3;
  --done: #2f7d4f; --failed: #b3261e; --skipped: #8a939c; --step: #ffffff }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ec; --soft: #a0a9b2; --page: #14181c; --line: #343b43;
  --done: #58b47c; --failed: #f2776d; --skipped: #7d868f; --step: #14181c } }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem }
h2 { font-size: 1.05rem; margin: 2rem 0 .25rem }
p { margin: 0 0 .5rem } .soft { color: var(--soft) }
svg { display: block; width: 100%; height: auto; margin: 1.5rem 0; overflow: visible }
svg text { font: 13px system-ui, sans-serif; fill: var(--text) } svg .soft { fill: var(--soft); font-size: 11px }
.grid { stroke: var(--line) } .step { fill: none; stroke: var(--step); stroke-opacity: .55 }
.done { fill: var(--done); color: var(--done) } .failed { fill: var(--failed); color: var(--failed) }
.skipped { fill: var(--skipped); color: var(--skipped) }
.outcome { font-weight: 600 }
ul { margin: .25rem 0; padding-left: 1.25rem } li { overflow-wrap: anywhere }
table { border-collapse: collapse; margin: .5rem 0 } td { padding: .1rem 1.25rem .1rem 0 } td.time { text-align: right; font-variant-numeric: tabular-nums }
";

pub fn page(account: &Account) -> String {
    let (project, environment) = (escaped(&account.project), escaped(&account.environment));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Rehearsal of {project}, {environment}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{}</h1>\n<p class=\"soft\">{} · {}</p>\n",
        escaped(&account.headline()),
        account.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        short(&account.commit),
    );
    page.push_str(&timeline(account));
    account.chapters.iter().for_each(|chapter| page.push_str(&section(chapter)));
    page.push_str("</body>\n</html>\n");
    page
}

/// A bar for each chapter, on one scale of time.
fn timeline(account: &Account) -> String {
    let (total, rows) = (account.seconds().max(0.1), account.chapters.len() as f64);
    let (height, bottom) = (rows * ROW + AXIS, rows * ROW);
    let at = |seconds: f64| LABELS + (WIDTH - LABELS) * seconds / total;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Timeline: {} chapters in {}\">\n",
        account.chapters.len(),
        duration(total)
    );
    let mut add = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    for second in ticks(total) {
        let x = at(second);
        add(format!("<line class=\"grid\" x1=\"{x:.1}\" y1=\"0\" x2=\"{x:.1}\" y2=\"{bottom}\"/>"));
        let label = duration(second);
        add(format!("<text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 16.0));
    }
    for (row, chapter) in account.chapters.iter().enumerate() {
        let top = row as f64 * ROW;
        add(format!("<text x=\"0\" y=\"{}\">{}</text>", top + 17.0, escaped(&shortened(&chapter.name))));
        let (x, class) = (at(chapter.began), chapter.outcome.word());
        let width = (at(chapter.began + chapter.seconds) - x).max(NARROWEST);
        let about = format!("{}: {}, {class}", chapter.name, duration(chapter.seconds));
        let title = format!("<title>{}</title>", escaped(&about));
        let bar = format!("x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" rx=\"3\"", top + 5.0, ROW - 10.0);
        add(format!("<rect class=\"{class}\" {bar}>{title}</rect>"));
        for step in &chapter.steps {
            let x = at(step.began + step.seconds);
            let title = format!("<title>{}</title>", escaped(&format!("{}: {}", step.name, duration(step.seconds))));
            let (y1, y2) = (top + 6.0, top + ROW - 6.0);
            add(format!("<line class=\"step\" x1=\"{x:.1}\" y1=\"{y1}\" x2=\"{x:.1}\" y2=\"{y2}\">{title}</line>"));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn section(chapter: &Chapter) -> String {
    let mut html = format!(
        "<h2>{}</h2>\n<p><span class=\"outcome {class}\">{class}</span> <span class=\"soft\">in {}</span></p>\n",
        escaped(&chapter.name),
        duration(chapter.seconds),
        class = chapter.outcome.word(),
    );
    let mut add = |text: String| html.write_str(&text).expect("writing to a String cannot fail");
    if !chapter.proof.is_empty() {
        let items: String = chapter.proof.iter().map(|proof| format!("<li>{}</li>\n", escaped(proof))).collect();
        add(format!("<ul>\n{items}</ul>\n"));
    }
    if !chapter.steps.is_empty() {
        add("<details><summary>steps</summary>\n<table>\n".to_owned());
        for step in &chapter.steps {
            let outcome = if step.outcome == Outcome::Done { "" } else { step.outcome.word() };
            let (name, took) = (escaped(&step.name), duration(step.seconds));
            add(format!("<tr><td>{name}</td><td class=\"time\">{took}</td><td>{outcome}</td></tr>\n"));
        }
        add("</table>\n</details>\n".to_owned());
    }
    html
}

/// Round times, at most eight of them, beginning with zero.
fn ticks(total: f64) -> impl Iterator<Item = f64> {
    const STEPS: [f64; 12] = [0.1, 0.5, 1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
    let step = STEPS.into_iter().find(|step| total / step <= 8.0).unwrap_or(3600.0);
    (0_u32..).map(move |number| f64::from(number) * step).take_while(move |&second| second <= total)
}

/// As much of a name as the column has room for.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 32;
    if name.chars().count() <= LONGEST {
        name.to_owned()
    } else {
        name.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

/// Text of others as text of the page.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Not allowed in a page, except for white space.
            c if c.is_control() && !c.is_whitespace() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn text_of_others_is_text() {
        let page = example().html();
        assert!(page.contains("exit 31 &amp; &lt;b&gt;no&lt;/b&gt; &quot;way&quot;"), "{page}");
        assert!(!page.contains("<b>") && !page.contains("<script") && !page.contains("http-equiv=\"refresh"));
        assert_eq!(escaped("a\u{1b}[0m'\n"), "a\u{fffd}[0m&#39;\n");
    }

    #[test]
    fn every_chapter_is_in_the_picture_and_below_it() {
        let page = example().html();
        for name in ["first deploy", "a release that crashes", "registry away"] {
            assert!(
                page.contains(&format!("\">{name}</text>")) && page.contains(&format!("<h2>{name}</h2>")),
                "{name}: {page}"
            );
        }
        assert_eq!(page.matches("<rect ").count(), 3);
        assert_eq!(page.matches("class=\"step\"").count(), 2);
    }

    #[test]
    fn an_axis_has_few_round_times() {
        assert_eq!(ticks(191.2).collect::<Vec<_>>(), [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0]);
        assert_eq!(ticks(0.35).count(), 4);
        assert!(ticks(100_000.0).count() < 30);
    }
}
