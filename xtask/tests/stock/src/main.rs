//! A service that starts and shuts down as actix-web's documentation shows it: the framework listens to the signals.

use std::time::Duration;

use actix_web::{App, HttpServer, web};
use listenfd::ListenFd;

fn main() -> std::io::Result<()> {
    let listener = ListenFd::from_env().take_tcp_listener(0)?.expect("a socket by activation");
    let version = std::env::var("FIXTURE_VERSION").expect("a version");
    let app = move || {
        App::new()
            .app_data(web::Data::new(version.clone()))
            .route("/", web::get().to(async |version: web::Data<String>| version.to_string()))
            .route("/slow/{milliseconds}", web::get().to(slow))
    };
    actix_web::rt::System::new().block_on(HttpServer::new(app).workers(2).shutdown_timeout(5).listen(listener)?.run())
}

async fn slow(milliseconds: web::Path<u64>, version: web::Data<String>) -> String {
    actix_web::rt::time::sleep(Duration::from_millis(*milliseconds)).await;
    version.to_string()
}
