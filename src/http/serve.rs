//! The accept loop of the main listener: client cap, one task per connection, graceful stop. Rule: `spec/http.md`
//! sections 1 and 16.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use super::exchange::Timeouts;
use super::gateway::{self, Routes};
use super::listener::{Connection, Listener};
use super::{App, image_route, pages};
use crate::config::ServerConfig;

/// Serves until `stop` fires. Then the listener closes at once, idle connections close, and running requests get the
/// graceful time; what is left after that ends without an answer.
pub async fn serve(
    listener: Listener,
    app: Arc<App>,
    config: &ServerConfig,
    stop: CancellationToken,
) {
    let timeouts = Timeouts {
        read: config.read_request_timeout,
        write: config.write_response_timeout,
        idle: config.keep_alive_timeout,
    };
    let (kill, tasks) = (CancellationToken::new(), TaskTracker::new());
    let _kill_when_dropped = kill.clone().drop_guard();
    let accepting = accept(
        listener,
        app,
        config.max_clients,
        timeouts,
        &stop,
        &kill,
        &tasks,
    );
    tokio::select! {
        () = stop.cancelled() => {}
        () = accepting => {}
    }
    tasks.close();
    if tokio::time::timeout(config.graceful_stop_timeout, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!("stopping with requests still running");
        kill.cancel();
        tasks.wait().await;
    }
}

/// Accepts for ever. The permit is taken before `accept`, so that at the cap new connections wait in the kernel.
async fn accept(
    listener: Listener,
    app: Arc<App>,
    max_clients: usize,
    timeouts: Timeouts,
    stop: &CancellationToken,
    kill: &CancellationToken,
    tasks: &TaskTracker,
) {
    let permits = match max_clients {
        0 => Semaphore::MAX_PERMITS,
        cap => cap.min(Semaphore::MAX_PERMITS),
    };
    let permits = Arc::new(Semaphore::new(permits));
    let routes = Routes {
        image: TowerToHyperService::new(warp::service(image_route())),
        pages: TowerToHyperService::new(warp::service(pages())),
    };
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        let connection = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                // Out of file descriptors, or the peer has gone already; waiting keeps the former from spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (app, routes) = (Arc::clone(&app), routes.clone());
        let (stop, kill) = (stop.clone(), kill.clone());
        tasks.spawn(async move {
            let _permit = permit;
            let peer = match &connection {
                Connection::Tcp(_, peer) => Some(*peer),
                Connection::Unix(_) => None,
            };
            let (app, routes) = (&app, &routes);
            let handler =
                move |request, exchange| gateway::answer(app, routes, peer, request, exchange);
            match connection {
                Connection::Tcp(stream, _) => {
                    connection::run(stream, timeouts, stop, kill, handler).await
                }
                Connection::Unix(stream) => {
                    connection::run(stream, timeouts, stop, kill, handler).await
                }
            }
        });
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
