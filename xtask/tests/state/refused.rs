//! Why a bucket did not do it: told apart, with the place and the server's reason.

use devservers::http::{HttpServer, Response};
use devservers::versitygw;
use xtask::state::history::read_all;
use xtask::state::store::{ErrorKind, Store, StoreError};

use crate::Place;
use crate::place::{BUCKET, at, bucket};

async fn error(store: &Store) -> StoreError {
    let got = store.get("lease.json").await.unwrap_err();
    let listed = store.list("records/").await.unwrap_err();
    let put = store.put_if_absent("lease.json", b"{}").await.unwrap_err();
    for (error, tried) in [(&got, "read lease.json"), (&listed, "list records/"), (&put, "write lease.json")] {
        assert_eq!(error.kind, got.kind, "{error}");
        assert!(error.to_string().starts_with(&format!("cannot {tried} in shop/production of the bucket ")), "{error}");
    }
    // A history that cannot be read is no empty one.
    assert!(read_all(store).await.unwrap_err().downcast_ref::<StoreError>().is_some());
    got
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_has_no_empty_history() {
    let Some(Place::Versitygw(server)) = Place::versitygw("a_bucket_that_does_not_exist_has_no_empty_history") else {
        return;
    };
    let missing = bucket(&server.endpoint(), "missing", versitygw::SECRET_KEY);
    let error = error(&Store::bucket(missing, "shop/production".to_owned())).await;
    assert_eq!(error.kind, ErrorKind::NoBucket, "{error}");
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_told_from_a_missing_object() {
    let Some(Place::Versitygw(server)) = Place::versitygw("a_wrong_key_is_told_from_a_missing_object") else { return };
    let wrong = bucket(&server.endpoint(), BUCKET, "another secret");
    let error = error(&Store::bucket(wrong, "shop/production".to_owned())).await;
    assert_eq!(error.kind, ErrorKind::UnknownCredentials, "{error}");
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable() {
    let Some(Place::Versitygw(mut server)) = Place::versitygw("a_server_that_is_away_is_unreachable") else { return };
    server.pause();
    let error = error(&at(&server.endpoint(), "production")).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn a_server_that_is_none_of_s3_is_told_as_such() {
    let web = HttpServer::start(|_| Response::new(200).body("text/html", "<html><p>Welcome"));
    let endpoint = format!("http://{}", web.address);
    let error = at(&endpoint, "production").list("records/").await.unwrap_err().to_string();
    for said in ["status 200, and not as an S3 server does", "is the endpoint that of an S3 service?"] {
        assert!(error.contains(said), "{error}");
    }
}
