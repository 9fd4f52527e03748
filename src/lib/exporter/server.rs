//! The port. Those who ask are bounded: one request for each connection, its head within [`HEAD`] and [`LARGEST`], the answer
//! taken within [`TAKING`]. When [`CONNECTIONS`] are open and another comes, the slowest is closed, so that a scraper, which
//! is quick, always gets its page.

mod places;
mod text;

use super::access::Access;
use super::page::Page;
use crate::config::Exporter;
use crate::net::listen;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use places::{Phase, Place, Places};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use text::{Answer, Rest, Text};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Most connections at a time.
const CONNECTIONS: usize = 16;
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 64;
/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(3);
/// Time for the program to make a page. Its loop may be writing to a slow disk.
const MAKING: Duration = Duration::from_secs(8);
/// Time to take the answer.
const TAKING: Duration = Duration::from_secs(5);
/// Most bytes of the head of a request.
const LARGEST: usize = 16 * 1024;
/// Pause before an address is tried for the second time: it may be one that this program leaves just now.
const ONCE_MORE: Duration = Duration::from_millis(200);
/// Pause before an address is tried again that could not be had.
const AGAIN: Duration = Duration::from_secs(10);
/// The text format.
const TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The questions for the page.
#[derive(Debug)]
pub struct Scrapes(Option<mpsc::Receiver<Scrape>>);

/// One question for the page.
#[derive(Debug)]
pub struct Scrape(oneshot::Sender<Answer>);

impl Scrape {
    /// Sends the page.
    pub fn answer(self, page: Page) {
        // A client that has left needs no page.
        let _ = self.0.send(Answer { page: page.into_text(), rest: None });
    }

    /// Sends the page, and more text behind it, which is made as it is taken. An error ends the answer before it is complete,
    /// and the client can tell.
    pub(crate) fn answer_with(self, page: Page, rest: impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'static) {
        let _ = self.0.send(Answer { page: page.into_text(), rest: Some(Rest(Box::new(rest))) });
    }
}

impl Scrapes {
    /// The next question; never, where the page is off. Safe to be dropped and called again.
    pub async fn next(&mut self) -> Scrape {
        if let Some(receiver) = &mut self.0
            && let Some(scrape) = receiver.recv().await
        {
            return scrape;
        }
        pending().await
    }

    /// Answers every question with a fresh page; never returns.
    pub async fn serve(mut self, page: impl Fn() -> Page) {
        loop {
            self.next().await.answer(page());
        }
    }
}

/// Where the page is served, and for whom.
#[derive(Debug)]
pub struct Door {
    config: Exporter,
    access: watch::Sender<Arc<Access>>,
    port: Option<JoinHandle<()>>,
}

impl Door {
    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Exporter {
        &self.config
    }

    /// Serves the page as configured from now on. The questions come to others where the address is another one; else those who
    /// wait there are not lost. Files are read again in any case.
    pub fn configure(&mut self, config: &Exporter) -> Option<Scrapes> {
        if config.listen != self.config.listen {
            if let Some(port) = self.port.take() {
                // Who is being answered has a task of its own, which goes on.
                port.abort();
            }
            let (scrapes, door) = start(config);
            *self = door;
            return Some(scrapes);
        }
        self.config = config.clone();
        match Access::open(config) {
            Ok(access) => drop(self.access.send_replace(Arc::new(access))),
            Err(error) => tracing::error!(
                error,
                "cannot read the new certificate or token; the metrics page is served with the old ones"
            ),
        }
        None
    }
}

/// The page of a program whose configuration may be read again.
pub(crate) struct Served {
    page: Rc<dyn Fn() -> Page>,
    door: Option<Door>,
    task: Option<JoinHandle<()>>,
}

impl Served {
    /// A page that is made by this function, and served nowhere yet.
    pub(crate) fn new(page: impl Fn() -> Page + 'static) -> Self {
        Self { page: Rc::new(page), door: None, task: None }
    }

    /// Serves it as configured from now on. Must run within a [`tokio::task::LocalSet`].
    pub(crate) fn at(&mut self, config: &Exporter) {
        let scrapes = match &mut self.door {
            Some(door) => door.configure(config),
            None => {
                let (scrapes, door) = start(config);
                self.door = Some(door);
                Some(scrapes)
            }
        };
        if let Some(scrapes) = scrapes {
            if let Some(before) = self.task.take() {
                before.abort();
            }
            let page = Rc::clone(&self.page);
            self.task = Some(tokio::task::spawn_local(scrapes.serve(move || page())));
        }
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("door", &self.door).finish_non_exhaustive()
    }
}

/// What is wrong with the files that the options name.
#[must_use]
pub fn check(config: &Exporter) -> Option<String> {
    Access::open(config).err()
}

/// Serves the page at this address, in tasks of the runtime in which this is called. Without an address nothing is
/// opened. An address that cannot be had keeps no program from its work: it is logged, and tried again.
#[must_use]
pub fn start(config: &Exporter) -> (Scrapes, Door) {
    let opened = Access::open(config);
    let address = config.listen.filter(|_| opened.is_ok());
    if let (Some(_), Err(error)) = (config.listen, &opened) {
        tracing::error!(error, "metrics are not served");
    }
    let (access, allowed) = watch::channel(Arc::new(opened.unwrap_or_default()));
    let door = |port| Door { config: config.clone(), access, port };
    let Some(address) = address else { return (Scrapes(None), door(None)) };
    let (questions, scrapes) = mpsc::channel(CONNECTIONS);
    // The first attempt is made here, so that the page is there when the program says that it is ready.
    let first = listen(address, BACKLOG);
    let port = tokio::spawn(async move {
        let mut attempt = first;
        let mut failures = 0_u32;
        let listener = loop {
            match attempt {
                Ok(listener) => break listener,
                Err(error) if failures == 1 => {
                    let again_s = AGAIN.as_secs();
                    tracing::error!(%address, %error, again_s, "cannot serve metrics: cannot bind the address");
                }
                Err(_) => {}
            }
            sleep(if failures == 0 { ONCE_MORE } else { AGAIN }).await;
            failures = failures.saturating_add(1);
            attempt = listen(address, BACKLOG);
        };
        let address = listener.local_addr().unwrap_or(address);
        tracing::info!(%address, "metrics are served under /metrics");
        serve(listener, questions, allowed).await;
    });
    (Scrapes(Some(scrapes)), door(Some(port)))
}

async fn serve(listener: TcpListener, questions: mpsc::Sender<Scrape>, access: watch::Receiver<Arc<Access>>) {
    let places = Places::new(CONNECTIONS);
    let mut crowded = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection to the metrics page");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (place, evicted) = places.take();
        if evicted && !std::mem::replace(&mut crowded, true) {
            tracing::warn!(
                connections = CONNECTIONS,
                "too many clients of the metrics page: disconnecting the slowest"
            );
        }
        crowded &= evicted;
        let (questions, access) = (questions.clone(), Arc::clone(&access.borrow()));
        tokio::spawn(async move {
            tokio::select! {
                () = greet(stream, access, questions, place.clone()) => {}
                () = place.over() => {}
            }
        });
        if evicted {
            // Where many come at once, each is heard before it may have to go.
            tokio::task::yield_now().await;
        }
    }
}

/// Encrypts the connection, where that is asked for.
async fn greet(stream: TcpStream, access: Arc<Access>, questions: mpsc::Sender<Scrape>, place: Place) {
    #[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
    if let Some(tls) = &access.tls {
        // Who speaks no TLS, or does not trust the certificate, is of no interest.
        if let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await {
            converse(stream, Arc::clone(&access), questions, place).await;
        }
        return;
    }
    converse(stream, access, questions, place).await;
}

async fn converse<S>(stream: S, access: Arc<Access>, questions: mpsc::Sender<Scrape>, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let (access, questions, place) = (Arc::clone(&access), questions.clone(), place.clone());
        async move {
            place.enter(Phase::Making);
            let response = respond(&request, &access, &questions).await;
            place.enter(Phase::Taking);
            Ok::<_, Infallible>(response)
        }
    });
    // An error is a peer that left or that speaks something else, which is of no interest.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(request: &Request<Incoming>, access: &Access, questions: &mpsc::Sender<Scrape>) -> Response<Text> {
    if !access.allows(request.headers()) {
        let mut response = say(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer\n");
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = say(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => match timeout(MAKING, ask(questions)).await {
            Ok(Some(answer)) => {
                let mut response = say(StatusCode::OK, answer.page);
                response.body_mut().rest = answer.rest;
                response.headers_mut().insert(CONTENT_TYPE, TYPE);
                response
            }
            Ok(None) | Err(_) => say(StatusCode::SERVICE_UNAVAILABLE, "the program is busy or about to end\n"),
        },
        "/" => say(StatusCode::OK, "metrics are under /metrics\n"),
        _ => say(StatusCode::NOT_FOUND, "metrics are under /metrics\n"),
    }
}

async fn ask(questions: &mpsc::Sender<Scrape>) -> Option<Answer> {
    let (sender, receiver) = oneshot::channel();
    questions.send(Scrape(sender)).await.ok()?;
    receiver.await.ok()
}

fn say(status: StatusCode, text: impl Into<Bytes>) -> Response<Text> {
    let mut response = Response::new(Text { first: Some(text.into()), rest: None });
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
