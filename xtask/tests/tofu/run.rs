//! A deploy's run around a stack, in this process: the lease, the record and the exit code are correct, however OpenTofu
//! ends.

use std::path::Path;
use std::process::Command;

use testkit::{Ran, Running, until};
use xtask::clients::s3::objects::Condition;
use xtask::deploy::run::Run;
use xtask::env::Env;
use xtask::failure::Failure;
use xtask::release::{MediaSettings, Published, PublishedForm, Release, Settings, Source};
use xtask::report::Step;
use xtask::signals::StopSender;
use xtask::state::history::{self, Kind, Outcome, Record};
use xtask::state::lease;
use xtask::targets::Target;
use xtask::tools::git;

use crate::site::{PASSPHRASE, Site, result, write_env};

/// A slow stack with the variables of a release.
const STACK: &str = r#"terraform {
  backend "s3" {}
}

variable "image" {}
variable "release" {}
variable "settings" {
  type = map(string)
}
variable "secrets" {
  type      = map(string)
  sensitive = true
}

resource "terraform_data" "first" {
  input = [var.image, var.release, var.settings]
}

resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]

  provisioner "local-exec" {
    command = "touch ../.deploy/here; until test -e ../.deploy/go; do sleep 0.05; done"
  }
}

output "endpoint" {
  value = "http://127.0.0.1:1"
}
"#;

const IMAGE: &str =
    "registry.example.com/shop/fixture@sha256:5555555555555555555555555555555555555555555555555555555555555555";

/// A lock in OpenTofu's format.
const LOCK: &str = r#"{"ID":"5e6c1d0a-9b3f-4a57-8e0b-0a4f2d1c7b11","Operation":"OperationTypeApply","Info":"","Who":"somebody@elsewhere","Version":"1.12.6","Created":"2026-01-01T00:00:00Z","Path":"states/fixture/production.tfstate"}"#;

fn open(test: &str) -> Option<Site> {
    Site::with(test, |project, state| {
        let deploy = project.read("deploy.yaml");
        let production = "  production:\n    target: scaleway\n    registry: registry.example.com/shop\n    stack: infra\n    settings: {}\n";
        project.write("deploy.yaml", &format!("{deploy}{production}    {state}\n"));
        project.write("infra/main.tf", STACK);
        write_env(&project.root, PASSPHRASE, "");
    })
}

/// How a run ended, and its record.
struct Ended {
    failure: Option<Failure>,
    record: Record,
}

impl Ended {
    #[track_caller]
    fn failure(self) -> Failure {
        self.failure.expect("the run fails")
    }
}

/// Runs the steps of a deploy around a stack, up to its apply. `before_apply` runs between plan and apply, `meanwhile`
/// concurrently.
fn deploy(site: &Site, before_apply: impl AsyncFnOnce(&Env<'_>), meanwhile: impl AsyncFnOnce(StopSender)) -> Ended {
    site.in_process(async |env, sender| {
        let target = Target::of(env);
        let run = match Run::begin(env, &target, Kind::Deploy, "deploy a test".to_owned(), false).await {
            Ok(run) => run,
            Err(failure) => panic!("{failure:?}"),
        };
        let (ended, ()) = tokio::join!(run.finish(steps(&run, before_apply)), meanwhile(sender));
        let store = env.store().unwrap();
        assert_eq!(lease::status(store).await.unwrap(), None, "the lease is released");
        let record = history::read_all(store).await.unwrap().pop().expect("the run leaves a record");
        Ended { failure: ended.err(), record }
    })
}

fn release(source: Source, settings: &Settings) -> Release {
    let (name, digest) = IMAGE.split_once('@').unwrap();
    let form = PublishedForm::Image { name: name.to_owned() };
    let published = Published { source, digest: digest.to_owned(), migrations: Vec::new(), form };
    Release::new(published, settings).unwrap()
}

async fn steps(run: &Run<'_>, before_apply: impl AsyncFnOnce(&Env<'_>)) -> Result<(), Failure> {
    let (env, target) = (run.env, run.target);
    let source = git::source(env.root(), git::Filters::Run).await?;
    let settings =
        run.live_step(Step::Provision, async |step| target.provision(&MediaSettings::default(), step).await).await?;
    let release = release(source, &settings);
    let plan = run.critical(Step::Plan, async |step, stop| {
        Ok(target.plan(&release, &settings, None, step, stop).await?.expect("a stack has a plan"))
    });
    let plan = plan.await?;
    plan.guard()?;
    before_apply(env).await;
    let apply = run.critical(Step::Apply, async |step, stop| {
        target.apply(run.id(), &release, &settings, Some(&plan), step, stop).await
    });
    apply.await.map(drop)
}

/// A command on another machine, which has the image from elsewhere.
fn command(site: &Site, root: &Path, args: &[&str]) -> Command {
    let mut command = site.command_in(root, args);
    command.env("TF_VAR_image", IMAGE);
    command
}

/// Calls a function once the apply is in progress, without blocking the run.
async fn during_apply(site: &Site, work: impl FnOnce() + Send + 'static) {
    let here = site.project.root.join(".deploy/here");
    let work = move || {
        until("the apply is in progress", || here.exists());
        work();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[test]
fn one_request_to_stop_waits_until_the_state_is_saved() {
    let Some(site) = open("one_request_to_stop_waits_until_the_state_is_saved") else { return };
    let ended = deploy(&site, async |_| {}, async |sender| during_apply(&site, move || sender.send("SIGTERM")).await);
    assert_eq!(ended.record.outcome, Outcome::Aborted);
    let error = ended.record.error.clone().unwrap();
    assert!(error.contains("interrupted by SIGTERM") && error.contains("has stopped"), "{error}");
    let failure = ended.failure();
    assert!(matches!(failure, Failure::Aborted(_)) && failure.exit_code() == 1, "{failure:?}");
    assert!(!site.lock().exists());
    // The resources that were created before are in the state.
    let plan =
        Running::start(&mut command(&site, &site.project.root, &["plan", "production", "--json"])).end().expect(10);
    let plan = result(plan);
    assert_eq!(plan["unchanged"], 1, "{plan:#}");
    assert_eq!(plan["changes"][0]["address"], "terraform_data.slow", "{plan:#}");
}

#[test]
fn two_requests_to_stop_kill_opentofu() {
    let Some(site) = open("two_requests_to_stop_kill_opentofu") else { return };
    let send = |sender: StopSender| {
        move || {
            sender.send("Ctrl-C");
            sender.send("Ctrl-C");
        }
    };
    let ended = deploy(&site, async |_| {}, async |sender| during_apply(&site, send(sender)).await);
    assert_eq!(ended.record.outcome, Outcome::Aborted);
    let failure = ended.failure();
    assert_eq!(failure.exit_code(), 1);
    let error = format!("{:#}", failure.into_error());
    for part in ["was killed", "operations in progress: terraform_data.slow", "may still be locked"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(site.lock().exists(), "a killed OpenTofu leaves its lock");
    site.unlock(&Ran::of(&mut command(&site, &site.project.root, &["plan", "production"])));
}

#[test]
fn a_locked_state_keeps_its_exit_code_and_restores_nothing() {
    let Some(site) = open("a_locked_state_keeps_its_exit_code_and_restores_nothing") else { return };
    let lock = async |env: &Env<'_>| {
        let bucket = env.state_bucket().unwrap();
        bucket.put("fixture/production.tfstate.tflock", LOCK.as_bytes(), Condition::Absent).await.unwrap();
    };
    let ended = deploy(&site, lock, async |_| {});
    assert_eq!(ended.record.outcome, Outcome::Failed);
    assert!(ended.record.steps.iter().all(|timing| timing.step != Step::Restore));
    let failure = ended.failure();
    // A deploy restores only after `Failure::Failed`.
    assert!(matches!(failure, Failure::Locked(_)) && failure.exit_code() == 20, "{failure:?}");
    assert!(format!("{:#}", failure.into_error()).contains("is locked by somebody@elsewhere"));
}

#[test]
fn a_run_holds_the_lock_and_a_command_on_another_machine_is_refused() {
    let Some(site) = open("a_run_holds_the_lock_and_a_command_on_another_machine_is_refused") else { return };
    let other = site.clone_to("other");
    let mut plan = command(&site, &other, &["plan", "production"]);
    let go = site.project.root.join(".deploy/go");
    let ended = deploy(
        &site,
        async |_| {},
        async |_sender| {
            let refused = move || {
                Ran::of(&mut plan).expect(20).says(&["is locked by", "cargo xtask tofu unlock production"]);
                fs_err::write(go, "").unwrap();
            };
            during_apply(&site, refused).await;
        },
    );
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    Ran::of(&mut command(&site, &other, &["plan", "production"])).expect(0).says(&["2 unchanged"]);
}

#[test]
fn a_command_on_another_machine_holds_the_lock_and_a_run_is_refused() {
    let Some(site) = open("a_command_on_another_machine_holds_the_lock_and_a_run_is_refused") else { return };
    let other = site.clone_to("other");
    let planned = Ran::of(&mut command(&site, &other, &["plan", "production"])).expect(10);
    let approval = planned.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let applying =
        Running::start(&mut command(&site, &other, &["apply", "production", "--approve", &approval, "--json"]));
    until("the apply is in progress", || other.join(".deploy/here").exists());
    let ended = deploy(&site, async |_| {}, async |_| {});
    assert_eq!(ended.record.outcome, Outcome::Failed);
    let failure = ended.failure();
    assert!(matches!(failure, Failure::Locked(_)) && failure.exit_code() == 20, "{failure:?}");
    fs_err::write(other.join(".deploy/go"), "").unwrap();
    applying.end().expect(0);
}

#[test]
fn a_plan_of_one_machine_is_approved_and_applied_on_another() {
    let Some(site) = Site::open("a_plan_of_one_machine_is_approved_and_applied_on_another") else { return };
    let other = site.clone_to("other");
    let in_other = |args: &[&str]| Ran::of(&mut site.command_in(&other, args));
    let approval = site.approval();
    assert!(!site.folder().join("plan.tfplan").exists());
    in_other(&["apply", "production"]).expect(21).says(&["+ create   terraform_data.app", "--approve", &approval]);
    in_other(&["apply", "production", "--approve", &approval]).expect(0);
    // A plan is applied once.
    site.run(&["apply", "production", "--approve", &approval]).expect(21).says(&["there is no plan"]);
    site.run(&["plan", "production"]).expect(0).says(&["2 unchanged"]);

    // In the other direction, by a machine with another commit checked out.
    site.project.edit("deploy.yaml", "size: 3", "size: 4");
    site.project.commit("Larger");
    let approval = site.approval();
    let refused = in_other(&["apply", "production", "--approve", &approval]).expect(21);
    refused.says(&["the plan was made from", "is checked out"]);
    Ran::of(testkit::git(&other).args(["pull", "--quiet"])).expect(0);
    in_other(&["apply", "production", "--approve", &approval]).expect(0);
}

#[test]
fn a_release_is_planned_with_the_files_of_its_own_commit() {
    let Some(site) = open("a_release_is_planned_with_the_files_of_its_own_commit") else { return };
    let (planned, older) = site.in_process(async |env, _sender| {
        let target = Target::of(env);
        let older = git::source(env.root(), git::Filters::Run).await.unwrap();
        site.project.edit(
            "infra/main.tf",
            "resource \"terraform_data\" \"first\"",
            "resource \"terraform_data\" \"other\"",
        );
        site.project.edit("infra/main.tf", "terraform_data.first", "terraform_data.other");
        site.project.commit("Another commit");
        let commit = older.commit.clone();
        let (settings, stop) = (Settings::default(), &env.stop);
        let release = release(older, &settings);
        let plan = env.report.step(Step::Plan, async |step| {
            Ok(target.plan(&release, &settings, None, step, stop).await?.expect("a stack has a plan"))
        });
        (plan.await.unwrap(), commit)
    });
    let addresses: Vec<&str> = planned.plan.resources.all.iter().map(|change| change.address.as_str()).collect();
    assert!(addresses.contains(&"terraform_data.first"), "{addresses:?}");
    assert_eq!(planned.kept.unwrap().commit, older);
    assert_ne!(site.project.git(&["rev-parse", "HEAD"]), older);
}
