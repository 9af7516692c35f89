//! A deploy that was measured, as its events tell it.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::table::text;
use super::turns::median;
use xtask::report::{Report, Step};
use xtask::tools::cmd::Cmd;

/// On a long deploy, a word of how far it is this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// How long a deploy took, and each of its steps.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// From the start of the process to its end.
    pub wall: Duration,
    /// There was nothing to do.
    pub unchanged: bool,
    steps: Vec<(Step, f64)>,
}

#[derive(Deserialize)]
struct Event {
    step: Option<Step>,
    state: String,
    detail: Value,
}

impl Deployed {
    /// Runs a deploy, which has to be asked for events.
    pub async fn run(deploy: &Cmd, report: &Report) -> Result<Self> {
        let steps = RefCell::new(Vec::new());
        let (unchanged, said) = (Cell::new(false), Cell::new(Instant::now()));
        let began = Instant::now();
        deploy
            .run_lines_if(|line| {
                // What is no event is for people, and for the error of a deploy that fails.
                let Ok(event) = serde_json::from_str::<Event>(line) else { return true };
                match (event.state.as_str(), event.step) {
                    ("finished", Some(step)) => {
                        steps.borrow_mut().push((step, event.detail["seconds"].as_f64().unwrap_or_default()));
                    }
                    ("progress", Some(step)) if said.get().elapsed() >= SIGN_OF_LIFE => {
                        said.set(Instant::now());
                        report.detail(&format!("{step}: {}", event.detail["text"].as_str().unwrap_or_default()));
                    }
                    ("result", None) => unchanged.set(event.detail.get("unchanged").is_some()),
                    _ => {}
                }
                false
            })
            .await?;
        Ok(Self { wall: began.elapsed(), unchanged: unchanged.get(), steps: steps.into_inner() })
    }

    /// All of it but these steps.
    pub fn without(&self, steps: &[Step]) -> Duration {
        let theirs: f64 = self.steps.iter().filter(|(step, _)| steps.contains(step)).map(|(_, seconds)| seconds).sum();
        self.wall.saturating_sub(Duration::from_secs_f64(theirs))
    }
}

/// Where the time of these deploys went: the median of each step, and of what no step says.
pub fn breakdown(deploys: &[Deployed]) -> String {
    let mut steps: Vec<Step> = deploys.iter().flat_map(|deploy| deploy.steps.iter().map(|(step, _)| *step)).collect();
    steps.sort();
    steps.dedup();
    let of_all = |seconds: &dyn Fn(&Deployed) -> f64| {
        text(Duration::from_secs_f64(median(deploys.iter().map(seconds).collect())))
    };
    let mut parts: Vec<String> = Vec::new();
    for step in &steps {
        let of_step = |deploy: &Deployed| {
            deploy.steps.iter().filter(|(other, _)| other == step).map(|(_, seconds)| seconds).sum()
        };
        parts.push(format!("{step} {}", of_all(&of_step)));
    }
    parts.push(format!("else {}", of_all(&|deploy| deploy.without(&steps).as_secs_f64())));
    format!("of which {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use xtask::report::Audience;
    use xtask::secrets::Redactor;

    use super::*;

    #[tokio::test]
    async fn the_events_of_a_deploy_tell_where_its_time_went() {
        let report = Report::new(Audience::Events, false, Redactor::default());
        let events = r#"echo '{"step":"source","state":"finished","detail":{"seconds":0.25}}'
            echo '{"step":null,"state":"result","detail":{"unchanged":"x"}}'; echo a line for people"#;
        let deployed = Deployed::run(&Cmd::new("sh").args(["-c", events]), &report).await.unwrap();
        assert!(deployed.unchanged);
        let deployed = Deployed { wall: Duration::from_secs(1), ..deployed };
        assert_eq!(deployed.without(&[Step::Source]), Duration::from_millis(750));
        assert_eq!(breakdown(&[deployed]), "of which source 250 ms, else 750 ms");
    }
}
