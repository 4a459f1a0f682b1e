//! The server around a [`World`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::wire::{Answer, CutListener, Link, RequestInfo};
use super::world::{Delivery, Site, World};

/// A running simulated provider on a free port of 127.0.0.1. Dropping it stops it.
pub struct Sim<D: Site> {
    addr: SocketAddr,
    prefix: String,
    shared: Shared<D>,
    accepting: JoinHandle<()>,
}

struct Shared<D> {
    world: Arc<Mutex<World<D>>>,
    stopped: Arc<AtomicBool>,
}

impl<D> Clone for Shared<D> {
    fn clone(&self) -> Self {
        Self { world: Arc::clone(&self.world), stopped: Arc::clone(&self.stopped) }
    }
}

impl<D: Site> Sim<D> {
    /// Starts serving data, or a world made from it.
    ///
    /// # Errors
    /// No port could be opened.
    pub async fn start(world: impl Into<World<D>>) -> io::Result<Self> {
        let world = world.into();
        let prefix = world.prefix.clone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Shared { world: Arc::new(Mutex::new(world)), stopped: Arc::new(AtomicBool::new(false)) };
        let service =
            Router::new().fallback(serve::<D>).with_state(shared.clone()).into_make_service_with_connect_info::<Link>();
        let accepting = tokio::spawn(async move {
            if let Err(error) = axum::serve(CutListener(listener), service).await {
                tracing::debug!(%error, "simulated provider stopped");
            }
        });
        Ok(Self { addr, prefix, shared, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What goes into `base_url` of a source: scheme, host, port and the world's prefix, without `/api/…`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.addr, self.prefix)
    }

    /// The world, to read and change while it is served. No request is answered while the guard is held.
    pub fn world(&self) -> MutexGuard<'_, World<D>> {
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world's handle, to be kept beside the server.
    #[must_use]
    pub fn handle(&self) -> Arc<Mutex<World<D>>> {
        Arc::clone(&self.shared.world)
    }
}

impl<D: Site> Drop for Sim<D> {
    fn drop(&mut self) {
        // Connections kept alive notice at their next request.
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.accepting.abort();
    }
}

async fn serve<D: Site>(
    State(shared): State<Shared<D>>,
    ConnectInfo(link): ConnectInfo<Link>,
    request: Request,
) -> Response {
    if shared.stopped.load(Ordering::SeqCst) {
        link.cut_after(0);
        return Response::new(Body::empty());
    }
    let (answer, delivery) = {
        let mut world = shared.world.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&request, &world.prefix) {
            Some(request) => world.handle(request),
            None => (Answer::html(404, "<html><body>Not Found</body></html>"), Delivery::Whole),
        }
    };
    match delivery {
        Delivery::Whole => {}
        Delivery::Late(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Delivery::Cut => link.cut_after(u64::try_from(answer.body.len() / 2).unwrap_or_default()),
        Delivery::Never => link.cut_after(0),
    }
    respond(answer)
}

fn read(request: &Request, prefix: &str) -> Option<RequestInfo> {
    let path = request.uri().path().strip_prefix(prefix).filter(|path| path.starts_with('/'))?;
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Some(RequestInfo::new(request.method().as_str(), path, request.uri().query(), headers))
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::super::bd::BdData;
    use super::super::{BdSim, Fault, RateLimit, World, probe};
    use std::time::Duration;

    const KEY: (&str, &str) = ("x-api-key", "bd-key");
    const VERIFY: &str = "/api/v2/token/verify";

    #[tokio::test]
    async fn it_serves_over_http_and_stops_when_dropped() {
        let sim = BdSim::start(BdData::new()).await.unwrap();
        let addr = sim.addr();
        assert!(probe::over_tcp(addr, VERIFY, KEY).await.unwrap().contains("Sync key"));
        assert_eq!(sim.world().count(VERIFY), 1);
        assert_eq!(sim.world().log[0].request.header("x-api-key"), Some("***"));
        let world = sim.handle();
        drop(sim);
        // The port may be another's by now; what counts is that this world is asked no more.
        let _after = probe::over_tcp(addr, VERIFY, KEY).await;
        assert_eq!(world.lock().unwrap().requests(), 1);
    }

    #[tokio::test]
    async fn scripted_faults_are_met_one_by_one() {
        let mut world = World::new(BdData::new());
        world.fault("/api", Fault::retry_after(429, 7));
        world.fault("/api", Fault::Html200);
        world.fault("/api", Fault::Truncated);
        world.fault("/api", Fault::CutBody);
        world.fault("/api", Fault::CloseConnection);
        world.fault("/other", Fault::Garbage);
        let sim = BdSim::start(world).await.unwrap();
        let get = || async { probe::over_tcp(sim.addr(), VERIFY, KEY).await.unwrap_or_default() };
        assert!(get().await.contains("retry-after: 7"));
        assert!(get().await.contains("Just a moment"));
        let whole_transfer = get().await;
        assert!(whole_transfer.contains("\"message\"") && !whole_transfer.contains("success"));
        let cut = get().await;
        assert!(cut.starts_with("HTTP/1.1 200") && !cut.contains("success"), "{cut}");
        assert_eq!(get().await, "");
        assert!(get().await.contains("success"));
        let world = sim.world();
        assert_eq!(world.faults_left(), 1);
        assert_eq!(world.log.iter().map(|one| one.status).collect::<Vec<_>>(), [429, 200, 200, 200, 0, 200]);
    }

    #[tokio::test]
    async fn a_prefix_is_part_of_the_base_url() {
        let mut world = World::new(BdData::new());
        world.prefix = "/tenant".to_owned();
        let sim = BdSim::start(world).await.unwrap();
        assert!(sim.base_url().ends_with("/tenant"));
        assert!(probe::over_tcp(sim.addr(), VERIFY, KEY).await.unwrap().starts_with("HTTP/1.1 404"));
        assert!(probe::over_tcp(sim.addr(), "/tenant/api/v2/token/verify", KEY).await.unwrap().contains("Sync key"));
    }

    #[test]
    fn data_may_change_before_every_request_and_the_rate_has_a_window() {
        let mut world = World::new(BdData::new());
        world.on_request(|data, _| {
            data.add_user("One", "More");
        });
        world.rate_limit = Some(RateLimit { requests: 2, window: Duration::from_secs(3600) });
        let statuses: Vec<u16> = (0..3).map(|_| probe::ask(&mut world, VERIFY, KEY).0).collect();
        assert_eq!(statuses, [200, 200, 429]);
        assert_eq!(world.data.users.len(), 3);
    }
}
