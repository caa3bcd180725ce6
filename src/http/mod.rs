//! The HTTP surface; the only module that knows warp.
//!
//! [`serve`] owns sockets and connections, [`gateway`] what happens to every request, [`endpoint`] which route answers,
//! [`response`] the headers. The routes themselves are warp filters, composed here. Application errors are values; the
//! only rejection left is "no route".

mod caching;
mod connection;
mod disposition;
mod endpoint;
mod error_page;
mod gateway;
mod image;
mod listener;
mod log;
pub mod metrics;
mod pages;
mod request;
mod response;
pub mod serve;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::config::Config;
use crate::config::processing::Negotiation;
use crate::service::Images;
use endpoint::{Endpoint, RouteTable};
use request::RequestContext;
use response::{Writer, header_value, plain};

pub use listener::{BindError, Listener};
pub use pages::HealthProbe;

/// Everything that routes need.
pub struct App {
    images: Arc<dyn Images>,
    health: HealthProbe,
    routes: RouteTable,
    writer: Writer,
    negotiation: Negotiation,
    client_hints: bool,
    timeout: Duration,
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

impl App {
    /// Binds the use case to the configuration.
    pub fn new(config: &Config, images: Arc<dyn Images>, health: HealthProbe) -> Self {
        Self {
            images,
            health,
            routes: RouteTable {
                prefix: config.server.path_prefix.clone(),
                health_check_path: config.server.health_check_path.clone(),
            },
            writer: Writer::new(config),
            negotiation: config.processing.negotiation,
            client_hints: config.processing.client_hints,
            timeout: config.server.timeout,
            secret: config.server.secret.clone(),
            server_name: header_value(&config.server.server_name),
        }
    }
}

/// The routes of `spec/http.md` section 3. [`gateway`] has decided which one it is; each filter takes its own.
fn routes(app: Arc<App>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let with_app = {
        let app = Arc::clone(&app);
        warp::any().map(move || Arc::clone(&app))
    };
    let image = on(Endpoint::Image)
        .and(with_app.clone())
        .and(warp::ext::get::<RequestContext>())
        .and(warp::path::full())
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
