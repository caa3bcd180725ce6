//! The HTTP surface; the only module that knows warp.
//!
//! [`serve`] owns sockets and connections, [`gateway`] what happens to every request, [`endpoint`] which route answers,
//! [`response`] the headers. The routes themselves are warp filters, composed here. Application errors are values; the
//! only rejection left is "no route".

pub mod admin;
mod cache_status;
mod caching;
mod client;
mod connection;
mod disposition;
mod endpoint;
mod error_page;
mod gateway;
mod image;
mod linger;
mod listener;
mod log;
pub mod metrics;
mod pages;
mod redaction;
mod report;
mod request;
mod response;
pub mod serve;
mod target;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::config::processing::Negotiation;
use crate::config::server::TrustedProxies;
use crate::config::{DeliveryConfig, ServerConfig};
use crate::reporting::Reporters;
use crate::service::Images;
use endpoint::{Endpoint, RouteTable};
use request::RequestContext;
use response::{Writer, header_value, plain};

pub use listener::{BindError, Listener};
pub use pages::HealthProbe;
pub use redaction::Redaction;

/// Everything that routes need.
pub struct App {
    images: Arc<dyn Images>,
    health: HealthProbe,
    routes: RouteTable,
    writer: Writer,
    negotiation: Negotiation,
    client_hints: bool,
    timeout: Duration,
    proxies: TrustedProxies,
    redaction: Redaction,
    reporters: Reporters,
    secret: String,
    server_name: HeaderValue,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// The settings of the HTTP surface.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Listener, timeouts, routes.
    pub server: ServerConfig,
    /// Response headers.
    pub delivery: DeliveryConfig,
    /// Which formats the `Accept` header may choose.
    pub negotiation: Negotiation,
    /// `ENABLE_CLIENT_HINTS`.
    pub client_hints: bool,
    /// What is kept out of log lines and reports.
    pub redaction: Redaction,
    /// Where errors are reported.
    pub reporters: Reporters,
}

impl App {
    /// Binds the use case to the configuration.
    pub fn new(settings: &Settings, images: Arc<dyn Images>, health: HealthProbe) -> Self {
        let server = &settings.server;
        Self {
            images,
            health,
            routes: RouteTable {
                prefix: server.path_prefix.clone(),
                health_check_path: server.health_check_path.clone(),
            },
            writer: Writer::new(settings),
            negotiation: settings.negotiation,
            client_hints: settings.client_hints,
            timeout: server.timeout,
            proxies: server.trusted_proxies.clone(),
            redaction: settings.redaction.clone(),
            reporters: settings.reporters.clone(),
            secret: server.secret.clone(),
            server_name: header_value(&server.server_name),
        }
    }
}

/// The routes of `spec/http.md` section 3. [`gateway`] has decided which one it is; each filter takes its own.
fn routes(app: Arc<App>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let with_app = warp::any().map(move || Arc::clone(&app));
    let image = on(Endpoint::Image)
        .and(with_app.clone())
        .and(warp::ext::get::<RequestContext>())
        .and(warp::header::headers_cloned())
        .then(image::image);
    let always = on(Endpoint::Always)
        .and(with_app.clone())
        .map(|app: Arc<App>| app.writer.cors(app.writer.always()));
    let landing = on(Endpoint::Landing)
        .and(with_app.clone())
        .map(|app: Arc<App>| app.writer.landing(pages::LANDING));
    let health = on(Endpoint::Health)
        .and(with_app)
        .then(|app: Arc<App>| pages::health(Arc::clone(&app.health)));
    let status = on(Endpoint::Status).map(pages::status);
    let absent = on(Endpoint::Favicon)
        .or(on(Endpoint::WellKnown))
        .unify()
        .map(not_found);
    image
        .or(always)
        .unify()
        .or(landing)
        .unify()
        .or(health)
        .unify()
        .or(status)
        .unify()
        .or(absent)
        .unify()
        .recover(|_: Rejection| std::future::ready(Ok::<_, Infallible>(not_found())))
        .unify()
}

fn on(endpoint: Endpoint) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::ext::get::<RequestContext>()
        .and_then(move |context: RequestContext| {
            let matches = context.endpoint == endpoint;
            std::future::ready(if matches {
                Ok(())
            } else {
                Err(warp::reject::not_found())
            })
        })
        .untuple_one()
}

/// The one-space body exists for AWS Lambda, which loses empty ones.
fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, " ")
}
