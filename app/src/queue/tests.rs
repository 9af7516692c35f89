//! The queue against moto, whose S3 tells its SQS of objects.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use devservers::{
    FaultyServer,
    faulty::Fault,
    moto::{BUCKET, Moto, REGION, Turn, Uploads},
};
use secrecy::SecretString;
use testkit::or_skip;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::settings::S3Settings;

/// A queue with a dead-letter queue, and a bucket that can tell it of its objects.
struct Fixture {
    sqs: Sqs,
    settings: S3Settings,
    uploads: Uploads,
    _moto: Turn,
}

impl Fixture {
    fn start(test: &str, visibility: Duration, max_receives: u32) -> Option<Self> {
        let moto = or_skip(test, Moto::turn())?;
        let uploads = moto.uploads(max_receives).unwrap();
        let settings = S3Settings {
            bucket: BUCKET.into(),
            region: REGION.into(),
            endpoint: Some(moto.endpoint()),
            access_key_id: "sentinel-id".into(),
            secret_access_key: SecretString::from("sentinel-secret"),
            public_url: None,
            cdn: None,
            queue_url: None,
            spool_dir: "/nowhere".into(),
        };
        let sqs = Sqs { visibility, ..Sqs::open(&settings, &uploads.queue) };
        Some(Self { sqs, settings, uploads, _moto: moto })
    }

    /// The same queue, by way of another server.
    fn behind(&self, proxy: &FaultyServer) -> Sqs {
        let path = self.sqs.url.rsplit_once("://").unwrap().1.split_once('/').unwrap().1;
        let url = format!("{}/{path}", proxy.endpoint);
        Sqs { visibility: self.sqs.visibility, ..Sqs::open(&self.settings, &url) }
    }

    fn put(&self, key: &str) {
        self.uploads.put_object(key, "image/png", b"content").unwrap();
    }

    async fn send(&self, body: &str) {
        self.sqs.client.send_message().queue_url(&*self.sqs.url).message_body(body).send().await.unwrap();
    }

    /// What S3 sends of an original.
    async fn send_event(&self, id: MediaId) {
        self.send(&event_of(id)).await;
    }

    async fn until(&self, what: &str, holds: impl Fn(Depth) -> bool) {
        let mut depth = self.sqs.depth().await.unwrap();
        for _ in 0..600 {
            if holds(depth) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            depth = self.sqs.depth().await.unwrap();
        }
        panic!("{what}: {depth:?}");
    }

    async fn until_empty(&self) {
        self.until("the queue is empty", |depth| depth.waiting == 0 && depth.in_flight == 0).await;
    }
}

fn event_of(id: MediaId) -> String {
    format!(
        r#"{{"Records":[{{"eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"media"}},"object":{{"key":"uploads/{id}"}}}}}}]}}"#
    )
}

fn consume<A, F>(sqs: &Sqs, arrived: A, stop: &CancellationToken) -> tokio::task::JoinHandle<()>
where
    A: Fn(MediaId) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (queue, stop) = (Queue::Sqs(sqs.clone()), stop.clone());
    tokio::spawn(async move { queue.consume(arrived, &stop).await })
}

#[tokio::test]
async fn each_object_is_told_of_and_what_is_no_event_of_one_is_deleted() {
    let test = "each_object_is_told_of_and_what_is_no_event_of_one_is_deleted";
    let Some(fixture) = Fixture::start(test, Duration::from_secs(30), 5) else { return };
    fixture.uploads.tell_of(None).unwrap();
    fixture.until("the test event waits", |depth| depth.waiting == 1).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let arrived = move |id: MediaId| {
        let sent = tell.send(id);
        async move { Ok(sent?) }
    };
    let consuming = consume(&fixture.sqs, arrived, &stop);

    let mut expected: Vec<_> = (0..12).map(|_| MediaId::generate()).collect();
    for id in &expected {
        fixture.put(&format!("uploads/{id}"));
    }
    for key in ["uploads/no-id", "uploads/with%20blank%2Bplus", "thumbs/a.webp"] {
        fixture.put(key);
    }
    fixture.send("no JSON").await;
    // The same once more, and late.
    fixture.send_event(expected[0]).await;
    expected.push(expected[0]);
    let mut ids = Vec::new();
    while ids.len() < expected.len() {
        ids.push(told.recv().await.unwrap());
    }
    fixture.until_empty().await;
    assert!(told.try_recv().is_err(), "nothing else is told of");
    stop.cancel();
    consuming.await.unwrap();
    ids.sort_by_key(MediaId::to_string);
    expected.sort_by_key(MediaId::to_string);
    assert_eq!(ids, expected);
    assert_eq!(fixture.sqs.depth().await.unwrap(), Depth { waiting: 0, in_flight: 0, dead: Some(0) });
}

/// Of a burst, each request gets and deletes as many messages as SQS allows.
#[tokio::test]
async fn a_burst_takes_a_request_for_ten_messages() {
    let Some(fixture) = Fixture::start("a_burst_takes_a_request_for_ten_messages", Duration::from_secs(30), 5) else {
        return;
    };
    let event = event_of(MediaId::generate());
    let entry = |place: usize| {
        SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(&event).build().unwrap()
    };
    for _ in 0..20 {
        let entries = (0..10).map(entry).collect();
        let sent = fixture.sqs.client.send_message_batch().queue_url(&*fixture.sqs.url).set_entries(Some(entries));
        sent.send().await.unwrap();
    }
    let counting = FaultyServer::start(&fixture.settings.endpoint.clone().unwrap(), |_, _| Fault::None);
    let sqs = fixture.behind(&counting);
    let (tell, mut told) = mpsc::unbounded_channel();
    let arrived = move |id: MediaId| {
        let sent = tell.send(id);
        async move { Ok(sent?) }
    };
    let stop = CancellationToken::new();
    let consuming = consume(&sqs, arrived, &stop);
    for _ in 0..200 {
        told.recv().await.unwrap();
    }
    fixture.until_empty().await;
    stop.cancel();
    consuming.await.unwrap();
    let requests = |operation: &str| counting.with_headers(&[operation]).len();
    let (received, deleted) = (requests("amazonsqs.receivemessage"), requests("amazonsqs.deletemessage"));
    assert!((20..30).contains(&received) && (20..100).contains(&deleted), "{received} and {deleted} requests");
}

#[tokio::test]
async fn what_fails_is_told_again_and_ends_among_the_dead_letters_until_it_is_moved_back() {
    let test = "what_fails_is_told_again_and_ends_among_the_dead_letters_until_it_is_moved_back";
    let Some(fixture) = Fixture::start(test, Duration::from_secs(1), 2) else { return };
    let (poison, transient) = (MediaId::generate(), MediaId::generate());
    let (is_healed, failed_once) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (tell, mut told) = mpsc::unbounded_channel();
    let healed = is_healed.clone();
    let arrived = move |id: MediaId| {
        let works = if id == poison { healed.load(Ordering::SeqCst) } else { failed_once.swap(true, Ordering::SeqCst) };
        let sent = tell.send((id, works));
        async move {
            sent?;
            anyhow::ensure!(works, "the database is away");
            Ok(())
        }
    };
    fixture.send_event(poison).await;
    fixture.send_event(transient).await;
    let stop = CancellationToken::new();
    let consuming = consume(&fixture.sqs, arrived, &stop);
    fixture.until("one dead letter", |depth| depth == Depth { waiting: 0, in_flight: 0, dead: Some(1) }).await;
    let mut seen = Vec::new();
    while let Ok(event) = told.try_recv() {
        seen.push(event);
    }
    let of = |id| seen.iter().filter(|event| event.0 == id).map(|event| event.1).collect::<Vec<_>>();
    assert_eq!((of(poison), of(transient)), (vec![false, false], vec![false, true]));

    is_healed.store(true, Ordering::SeqCst);
    assert_eq!(fixture.sqs.redrive().await.unwrap(), 1);
    assert_eq!(told.recv().await, Some((poison, true)));
    fixture.until_empty().await;
    assert_eq!(fixture.sqs.depth().await.unwrap().dead, Some(0));
    stop.cancel();
    consuming.await.unwrap();
}

#[tokio::test]
async fn a_message_is_hidden_while_it_is_worked_on_and_finished_by_a_worker_that_stops() {
    let test = "a_message_is_hidden_while_it_is_worked_on_and_finished_by_a_worker_that_stops";
    let Some(fixture) = Fixture::start(test, Duration::from_secs(2), 5) else { return };
    let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    let (began_too, go_on_too) = (began.clone(), go_on.clone());
    let arrived = move |_| {
        let (began, go_on) = (began_too.clone(), go_on_too.clone());
        async move {
            began.notify_one();
            go_on.notified().await;
            Ok(())
        }
    };
    let mut consuming = consume(&fixture.sqs, arrived, &stop);
    fixture.send_event(MediaId::generate()).await;
    began.notified().await;
    stop.cancel();

    // Another worker waits for twice as long as a message is hidden once.
    let call = fixture.sqs.client.receive_message().queue_url(&*fixture.sqs.url).wait_time_seconds(4);
    let received = call.send().await.unwrap();
    assert_eq!(received.messages.unwrap_or_default(), []);
    assert!(!consuming.is_finished(), "the worker waits for what it has in hand");
    go_on.notify_one();
    (&mut consuming).await.unwrap();
    assert_eq!(fixture.sqs.depth().await.unwrap(), Depth { waiting: 0, in_flight: 0, dead: Some(0) });
}

#[tokio::test]
async fn a_message_that_is_not_hidden_any_longer_is_also_worked_on_by_another_worker() {
    let test = "a_message_that_is_not_hidden_any_longer_is_also_worked_on_by_another_worker";
    let Some(fixture) = Fixture::start(test, Duration::from_secs(1), 5) else { return };
    // The first worker is cut off from the queue once it has the message.
    let cut = FaultyServer::start(&fixture.settings.endpoint.clone().unwrap(), |_, before| match before {
        0 => Fault::None,
        _ => Fault::Error(503, "ServiceUnavailable"),
    });
    let (began, go_on, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
    let (began_too, go_on_too) = (began.clone(), go_on.clone());
    let slow = move |_| {
        let (began, go_on) = (began_too.clone(), go_on_too.clone());
        async move {
            began.notify_one();
            go_on.notified().await;
            Ok(())
        }
    };
    let id = MediaId::generate();
    fixture.send_event(id).await;
    let first = consume(&fixture.behind(&cut), slow, &stop);
    began.notified().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let second = consume(
        &fixture.sqs,
        move |id: MediaId| {
            let sent = tell.send(id);
            async move { Ok(sent?) }
        },
        &stop,
    );
    assert_eq!(told.recv().await, Some(id));
    fixture.until_empty().await;
    // What the first one has done is done twice. It cannot delete what is gone, which harms nothing.
    go_on.notify_one();
    stop.cancel();
    first.await.unwrap();
    second.await.unwrap();
    assert!(told.try_recv().is_err(), "once is enough");
    assert_eq!(fixture.sqs.depth().await.unwrap(), Depth { waiting: 0, in_flight: 0, dead: Some(0) });
}

#[tokio::test]
async fn a_worker_that_stops_gives_back_what_takes_too_long() {
    let test = "a_worker_that_stops_gives_back_what_takes_too_long";
    let Some(fixture) = Fixture::start(test, Duration::from_secs(600), 5) else { return };
    let sqs = Sqs { stop_grace: Duration::ZERO, ..fixture.sqs.clone() };
    let (began, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let began_too = began.clone();
    let arrived = move |_| {
        began_too.notify_one();
        pending()
    };
    let consuming = consume(&sqs, arrived, &stop);
    fixture.send_event(MediaId::generate()).await;
    began.notified().await;
    stop.cancel();
    consuming.await.unwrap();
    let again = fixture.sqs.receive().await.unwrap();
    assert_eq!(again.len(), 1, "another worker gets it at once");
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_an_error_that_names_it() {
    let test = "a_queue_that_is_not_there_is_an_error_that_names_it";
    let Some(fixture) = Fixture::start(test, Duration::from_secs(30), 5) else { return };
    let missing = Sqs { url: fixture.sqs.url.replace("uploads", "missing").into(), ..fixture.sqs.clone() };
    for error in [missing.receive().await.unwrap_err(), missing.depth().await.unwrap_err()] {
        let said = format!("{error:#}");
        assert!(said.contains("123456789012/missing") && said.contains("does not exist"), "{said}");
        assert!(!said.contains("sentinel-secret"), "{said}");
    }
    let without = fixture.sqs.client.create_queue().queue_name("alone").send().await.unwrap().queue_url.unwrap();
    let alone = Sqs { url: without.into(), ..fixture.sqs.clone() };
    let error = alone.redrive().await.unwrap_err().to_string();
    assert!(error.contains("has no dead-letter queue"), "{error}");
}
