//! What the process answers over HTTP: `/metrics`, `/livez` and `/readyz`.

mod health;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

pub use health::{Gate, Health, Pulse};

/// What `/metrics` answers: media type and text, None if it could not be made.
pub type Scrape = Arc<dyn Fn() -> Option<(&'static str, String)> + Send + Sync>;

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, health: Arc<Health>, scrape: Scrape) -> std::io::Result<()> {
    let readiness = health.clone();
    let router = Router::new()
        .route("/metrics", get(async move || metrics(&scrape)))
        .route("/livez", get(async move || livez(&health).await))
        .route("/readyz", get(async move || readyz(&readiness)));
    axum::serve(listener, router).await
}

fn metrics(scrape: &Scrape) -> impl IntoResponse + use<> {
    match scrape() {
        Some((media_type, text)) => Ok(([(CONTENT_TYPE, media_type)], text)),
        None => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn livez(health: &Health) -> (StatusCode, &'static str) {
    if health.is_alive().await {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the main loop does not turn\n")
    }
}

fn readyz(health: &Health) -> (StatusCode, String) {
    let (ready, lines) = health.readiness();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, lines)
}
