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
mod cors;
mod disposition;
mod endpoint;
mod error_page;
mod exchange;
mod gateway;
mod image;
mod linger;
mod listener;
mod log;
pub mod metrics;
mod pages;
mod ready;
mod redaction;
mod report;
mod request;
mod response;
mod secret;
pub mod serve;
mod target;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::config::access::TrustedProxies;
use crate::config::processing::Negotiation;
use crate::config::server::HeadMode;
use crate::config::{DeliveryConfig, ServerConfig};
use crate::live::Live;
use crate::monitoring::trace::Tracer;
use crate::reporting::Reporters;
use crate::service::Images;
use cors::Cors;
use endpoint::{Endpoint, RouteTable};
use request::RequestContext;
use response::{Writer, header_value, plain};

pub use listener::{BindError, Listener};
pub use pages::HealthProbe;
pub use ready::Readiness;
pub use redaction::Redaction;
pub use secret::Secrets;

/// Everything that routes need.
pub struct App {
    images: Arc<dyn Images>,
    health: HealthProbe,
    readiness: Arc<Readiness>,
    health_message: String,
    routes: RouteTable,
    writer: Writer,
    cors: Cors,
    negotiation: Negotiation,
    client_hints: bool,
    timeout: Duration,
    proxies: TrustedProxies,
    secrets: Live<Secrets>,
    redaction: Live<Redaction>,
    reporters: Reporters,
    server_name: HeaderValue,
    tracer: Option<Arc<dyn Tracer>>,
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
    /// The tokens that image requests must carry.
    pub secrets: Live<Secrets>,
    /// Which formats the `Accept` header may choose.
    pub negotiation: Negotiation,
    /// `ENABLE_CLIENT_HINTS`.
    pub client_hints: bool,
    /// What is kept out of log lines and reports.
    pub redaction: Live<Redaction>,
    /// Where errors are reported.
    pub reporters: Reporters,
}

impl App {
    /// Binds the use case to the configuration.
    pub fn new(
        settings: &Settings,
        images: Arc<dyn Images>,
        health: HealthProbe,
        readiness: Arc<Readiness>,
    ) -> Self {
        let server = &settings.server;
        Self {
            images,
            health,
            readiness,
            health_message: server.health_check_message.clone(),
            routes: RouteTable {
                prefix: server.path_prefix.clone(),
                health_check_path: server.health_check_path.clone(),
                full_head: server.head_mode == HeadMode::Full,
            },
            writer: Writer::new(settings),
            cors: Cors::new(&server.allow_origin),
            negotiation: settings.negotiation,
            client_hints: settings.client_hints,
            timeout: server.timeout,
            proxies: server.trusted_proxies.clone(),
            secrets: settings.secrets.clone(),
            redaction: settings.redaction.clone(),
            reporters: settings.reporters.clone(),
            server_name: header_value(&server.server_name),
            tracer: None,
        }
    }

    /// The same with every image request traced.
    #[must_use]
    pub fn traced(mut self, tracer: Option<Arc<dyn Tracer>>) -> Self {
        self.tracer = tracer;
        self
    }
}

/// The image route. [`gateway`] has decided that a request is for it.
fn image_route() -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    context().then(|context| {
        // Boxed: the filters around it move it from hand to hand.
        Box::pin(image::image(context))
    })
}

/// The other routes of `spec/http.md` section 3. [`gateway`] has decided which one it is; each filter takes its own.
fn pages() -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let always = on(Endpoint::Always)
        .and(context())
        .map(|context: RequestContext| always(&context));
    let landing = on(Endpoint::Landing)
        .and(context())
        .map(|context: RequestContext| context.app.writer.landing(pages::LANDING));
    let health = on(Endpoint::Health).and(context()).then(pages::health);
    let ready = on(Endpoint::Ready).and(context()).then(pages::ready);
    let status = on(Endpoint::Status).map(pages::status);
    let absent = on(Endpoint::Favicon)
        .or(on(Endpoint::WellKnown))
        .unify()
        .map(not_found);
    always
        .or(landing)
        .unify()
        .or(health)
        .unify()
        .or(ready)
        .unify()
        .or(status)
        .unify()
        .or(absent)
        .unify()
        .recover(|_: Rejection| std::future::ready(Ok::<_, Infallible>(not_found())))
        .unify()
}

fn context() -> impl Filter<Extract = (RequestContext,), Error = Rejection> + Clone {
    warp::ext::get::<RequestContext>()
}

fn always(context: &RequestContext) -> Response {
    let app = &context.app;
    let response = app.writer.always();
    if context.method == Method::OPTIONS {
        app.cors.preflight(response, &context.headers)
    } else {
        app.cors.allow(response, &context.headers)
    }
}

fn on(endpoint: Endpoint) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    context()
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
