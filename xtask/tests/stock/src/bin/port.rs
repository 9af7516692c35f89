use actix_web::{App, HttpServer, web};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let app = || App::new().route("/health", web::get().to(|| async { "ok" }));
    HttpServer::new(app).bind(("127.0.0.1", port))?.run().await
}
