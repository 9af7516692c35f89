use jiff::SignedDuration;

use super::*;
use crate::state::store::scratch;

fn this(message: &str) -> Holder {
    Holder::this_process(message.to_owned())
}

fn elsewhere(renewed: Timestamp) -> Holder {
    let mut holder = this("deploy abc");
    holder.process.machine = "another machine".to_owned();
    holder.renewed = renewed;
    holder
}

#[tokio::test]
async fn a_second_holder_is_told_who_has_it() {
    let (_folder, store) = scratch();
    let (lease, _) = Lease::take(&store, this("deploy abc")).await.unwrap();
    let Err(TakeError::Held(holder)) = Lease::take(&store, this("deploy def")).await else {
        panic!("the lease was had twice");
    };
    assert_eq!(holder.message, "deploy abc");
    lease.release().await.unwrap();
    let (again, from) = Lease::take(&store, this("deploy def")).await.unwrap();
    assert!(from.is_none());
    assert_eq!(again.token(), 2);
}

#[tokio::test]
async fn a_holder_elsewhere_is_gone_only_when_its_time_is_up() {
    let (_folder, store) = scratch();
    let now = Timestamp::now();
    write(&store, &Object { token: 7, holder: Some(elsewhere(now)) }, None).await.unwrap();
    assert!(matches!(Lease::take(&store, elsewhere(now)).await, Err(TakeError::Held(_))));
    let etag = read(&store).await.unwrap().etag;
    let expired = now - SignedDuration::from_secs(61);
    write(&store, &Object { token: 7, holder: Some(elsewhere(expired)) }, etag.as_deref()).await.unwrap();
    assert!(status(&store).await.unwrap().is_none());
    let (lease, from) = Lease::take(&store, elsewhere(now)).await.unwrap();
    assert_eq!((lease.token(), from.is_some()), (8, true));
}

#[tokio::test]
async fn a_clock_that_was_set_back_ends_no_lease() {
    let (_folder, store) = scratch();
    let later = Timestamp::now() + SignedDuration::from_secs(3600);
    write(&store, &Object { token: 7, holder: Some(elsewhere(later)) }, None).await.unwrap();
    assert!(status(&store).await.unwrap().is_some());
}

#[tokio::test]
async fn a_process_of_this_machine_that_ended_is_gone_at_once() {
    let (_folder, store) = scratch();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let mut holder = this("deploy abc");
    holder.process.pid = child.id().cast_signed();
    child.wait().unwrap();
    write(&store, &Object { token: 7, holder: Some(holder) }, None).await.unwrap();
    assert!(status(&store).await.unwrap().is_none());
}

#[tokio::test]
async fn a_broken_lease_is_noticed_and_not_given_back() {
    let (_folder, store) = scratch();
    let (lease, _) = Lease::take(&store, this("one")).await.unwrap();
    assert_eq!(break_lease(&store).await.unwrap().unwrap().message, "one");
    assert!(lease.verify().await.is_err());
    assert!(!renew_once(&store, lease.token()).await.unwrap());
    let (second, _) = Lease::take(&store, this("two")).await.unwrap();
    lease.release().await.unwrap();
    second.verify().await.unwrap();
}

#[tokio::test]
async fn a_holder_renews_until_it_is_dropped() {
    let (_folder, store) = scratch();
    let (lease, _) = Lease::take(&store, this("one").with_ttl(Duration::from_millis(30))).await.unwrap();
    let renewed = async |after: Timestamp| {
        loop {
            match read(&store).await.unwrap().object.holder {
                Some(holder) if holder.renewed > after => return holder.renewed,
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    let first = renewed(Timestamp::UNIX_EPOCH).await;
    let second = renewed(first).await;
    renewed(second).await;
    drop(lease);
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert!(status(&store).await.unwrap().is_none());
}

#[tokio::test]
async fn a_holder_that_cannot_renew_gives_up_before_its_time_is_up() {
    let (folder, store) = scratch();
    let (lease, _) = Lease::take(&store, this("one").with_ttl(Duration::from_millis(300))).await.unwrap();
    fs_err::write(folder.path().join(KEY), "{").unwrap();
    let reason = lease.lost().await.to_string();
    assert!(reason.contains("could not be renewed") && reason.contains(KEY), "{reason}");
}

#[tokio::test]
async fn a_stopped_process_keeps_it_however_late_it_is() {
    let (_folder, store) = scratch();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let pid = child.id().cast_signed();
    let mut holder = this("deploy abc");
    holder.process = host::Process::of(pid);
    holder.renewed = Timestamp::now() - SignedDuration::from_secs(3600);
    write(&store, &Object { token: 7, holder: Some(holder) }, None).await.unwrap();
    assert!(status(&store).await.unwrap().is_none(), "it runs and does not renew");
    let signal = |signal| rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    signal(rustix::process::Signal::STOP);
    while !host::Process::of(pid).is_known_stopped() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(Lease::take(&store, this("deploy def")).await, Err(TakeError::Held(_))));
    signal(rustix::process::Signal::KILL);
    child.wait().unwrap();
    assert!(status(&store).await.unwrap().is_none());
}

#[tokio::test]
async fn a_process_that_was_stopped_renews_when_it_goes_on() {
    let (_folder, store) = scratch();
    let ttl = Duration::from_millis(30);
    let (lease, _) = Lease::take(&store, this("one").with_ttl(ttl)).await.unwrap();
    let taken = read(&store).await.unwrap().object.holder.unwrap().renewed;
    // Nothing of this thread's runtime runs meanwhile, as in a process that is stopped.
    std::thread::sleep(2 * ttl);
    while read(&store).await.unwrap().object.holder.unwrap().renewed == taken {
        assert!(lease.lost.borrow().is_none(), "{:?}", lease.lost.borrow());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    lease.verify().await.unwrap();
}

#[tokio::test]
async fn a_holder_that_was_taken_over_from_is_told() {
    let (_folder, store) = scratch();
    let (lease, _) = Lease::take(&store, this("one").with_ttl(Duration::from_millis(30))).await.unwrap();
    break_lease(&store).await.unwrap();
    assert!(lease.lost().await.to_string().contains("broken or taken over"));
}
