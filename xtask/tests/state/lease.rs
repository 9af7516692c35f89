//! One deploy at a time, of several machines.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use xtask::state::lease::{Holder, KEY, Lease, TTL, TakeError, break_lease, status};

use crate::Place;

/// A process of another machine, whose life or death this one does not know.
fn of(machine: &str) -> Holder {
    let mut holder = Holder::this_process(format!("deploy from {machine}"));
    holder.process.machine = machine.to_owned();
    holder
}

async fn held(place: &Place, holder: Holder) -> String {
    match Lease::take(&place.store(), holder).await {
        Err(TakeError::Held(other)) => other.message,
        Err(TakeError::Broken(error)) => panic!("{error:#}"),
        Ok(_) => panic!("two hold the lease"),
    }
}

async fn taken(place: &Place, holder: Holder) -> (Lease, Option<Holder>) {
    match Lease::take(&place.store(), holder).await {
        Ok(taken) => taken,
        Err(TakeError::Held(other)) => panic!("{other:?} holds it"),
        Err(TakeError::Broken(error)) => panic!("{error:#}"),
    }
}

/// Writes a lease as another machine's toolkit would, which then is silent.
async fn silent(place: &Place, holder: &Holder) {
    let bytes = json!({ "token": 41, "holder": holder }).to_string();
    let store = place.store();
    let old = store.get(KEY).await.unwrap().map(|old| old.etag);
    store.put_over(KEY, bytes.as_bytes(), old.as_deref()).await.unwrap();
}

pub async fn of_two_machines_the_second_is_told_who_has_it(place: &Place) {
    let (lease, from) = taken(place, of("one")).await;
    assert!(from.is_none());
    assert_eq!(held(place, of("two")).await, "deploy from one");
    assert_eq!(status(&place.store()).await.unwrap().unwrap().message, "deploy from one");
    lease.verify().await.unwrap();
    lease.release().await.unwrap();
    assert!(status(&place.store()).await.unwrap().is_none());
    assert!(lease.verify().await.is_err());
    assert_eq!(taken(place, of("two")).await.0.token(), lease.token() + 1);
}

pub async fn both_orders_of_two_machines_come_to_one_holder(place: &Place) {
    for (first, second) in [("one", "two"), ("two", "one")] {
        let (lease, _) = taken(place, of(first)).await;
        assert_eq!(held(place, of(second)).await, format!("deploy from {first}"));
        lease.release().await.unwrap();
    }
    // At the same moment, a hundred times.
    let mut token = 0;
    for _ in 0..100 {
        let (one, two) = (place.store(), place.store());
        let both = tokio::join!(Lease::take(&one, of("one")), Lease::take(&two, of("two")));
        let mut leases = Vec::new();
        for result in [both.0, both.1] {
            match result {
                Ok((lease, _)) => leases.push(lease),
                Err(TakeError::Held(_)) => {}
                Err(TakeError::Broken(error)) => panic!("{error:#}"),
            }
        }
        assert_eq!(leases.len(), 1);
        assert!(leases[0].token() > token, "a token that an earlier holder had");
        token = leases[0].token();
        leases[0].release().await.unwrap();
    }
}

pub async fn a_holder_of_another_machine_is_gone_when_its_time_is_up(place: &Place) {
    silent(place, &of("one")).await;
    assert_eq!(held(place, of("two")).await, "deploy from one");
    silent(place, &of("one").with_ttl(Duration::ZERO)).await;
    assert!(status(&place.store()).await.unwrap().is_none());
    let (lease, from) = taken(place, of("two")).await;
    assert_eq!((lease.token(), from.unwrap().message.as_str()), (42, "deploy from one"));
}

pub async fn a_clock_that_is_wrong_neither_ends_nor_keeps_a_shared_lease(place: &Place) {
    if !place.is_shared() {
        return;
    }
    for hours in [-48, 48] {
        let mut holder = of("one");
        holder.renewed = Timestamp::now() + SignedDuration::from_hours(hours);
        silent(place, &holder).await;
        assert_eq!(held(place, of("two")).await, "deploy from one");
        silent(place, &holder.with_ttl(Duration::ZERO)).await;
        assert!(status(&place.store()).await.unwrap().is_none());
    }
}

pub async fn a_broken_lease_stops_its_holder(place: &Place) {
    let (lease, _) = taken(place, of("one").with_ttl(Duration::from_secs(1))).await;
    let broken = break_lease(&place.store()).await.unwrap().unwrap();
    assert_eq!(broken.message, "deploy from one");
    let (next, _) = taken(place, of("two")).await;
    assert!(lease.verify().await.unwrap_err().to_string().contains("no longer held"));
    assert!(lease.lost().await.to_string().contains("broken or taken over"));
    lease.release().await.unwrap();
    next.verify().await.unwrap();
    assert!(next.token() > lease.token());
}

pub async fn a_lease_is_renewed(place: &Place) {
    let (lease, _) = taken(place, of("one").with_ttl(Duration::from_secs(2))).await;
    let first = status(&place.store()).await.unwrap().unwrap().renewed;
    let deadline = tokio::time::Instant::now() + TTL;
    loop {
        let held = status(&place.store()).await.unwrap();
        if held.is_some_and(|holder| holder.renewed > first) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "it was not renewed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lease.verify().await.unwrap();
}
