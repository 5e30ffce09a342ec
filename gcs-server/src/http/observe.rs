//! Log lines and counters of requests. They never have addresses, user agents, tokens, codes,
//! elements or tracking ids. Instead of a path they have the pattern of its route.

use std::borrow::Cow;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};

use bytes::Bytes;
use pin_project_lite::pin_project;
use prometheus_client::metrics::counter::Counter;

use super::ELSEWHERE;
use super::connection::{Connection, Request};
use super::problem::ProblemCode;
use crate::metrics::{Metrics, RequestLabels};
use crate::request_log::Line;
use crate::service::Service;

pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let connection = Connection::of(&request);
    let lasting = connection.clone().map(|connection| connection.begin(&request));
    let method = name(request.method());
    let service = request.app_data::<web::Data<Service>>().cloned();
    let mut response = next.call(request).await?;
    // The client must know.
    if connection.is_some_and(|connection| connection.ends()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let route = route(response.request());
    let status = response.status().as_u16();
    let code = response.response().extensions().get::<ProblemCode>().map_or("", |code| code.0);
    if let Some(service) = service {
        let metrics = &service.metrics;
        if let Line::Yes { left_out } = service.request_log.line() {
            if left_out > 0 {
                tracing::info!(left_out, "requests without a log line");
            }
            let milliseconds = began.elapsed().as_micros() as f64 / 1000.0;
            if status >= 500 {
                tracing::warn!(method, route = &*route, status, code, milliseconds, "request");
            } else {
                tracing::info!(method, route = &*route, status, code, milliseconds, "request");
            }
        }
        match (&route, response.request().app_data::<Counters>()) {
            (Cow::Borrowed(pattern), Some(counters)) => {
                counters.count(metrics, method, pattern, status);
            }
            _ => {
                metrics.requests.get_or_create(&labels(method, &route, status)).inc();
            }
        }
        if !code.is_empty() {
            metrics.problems.get_or_create(&vec![("code", code)]).inc();
        }
    }
    Ok(response.map_body(|_, body| Lasting { body, lasting }))
}

pin_project! {
    /// The body of an answer, with which the request ends.
    struct Lasting<B> {
        #[pin]
        body: B,
        lasting: Option<Request>,
    }
}

impl<B: MessageBody> MessageBody for Lasting<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(context)
    }
}

/// The pattern of a route that was not looked for, with a request that is answered all the same.
pub(super) struct Route(pub(super) &'static str);

/// The pattern of a path's route. A path without a route is `unknown`: clients can make up any
/// number of them.
fn route(request: &HttpRequest) -> Cow<'static, str> {
    if let Some(Route(pattern)) = request.extensions().get::<Route>() {
        return Cow::Borrowed(pattern);
    }
    let pattern = request.resource_map().match_pattern(request.path());
    pattern.filter(|pattern| pattern != ELSEWHERE).map_or(Cow::Borrowed("unknown"), Cow::Owned)
}

fn labels(method: &'static str, route: &str, status: u16) -> RequestLabels {
    RequestLabels { method, route: route.to_owned(), status }
}

/// One counter, and what it counts: method, route and status.
type Counted = (&'static str, &'static str, u16, Counter);

/// The counters of one worker's most frequent requests, which need no look-up by text.
#[derive(Debug, Default)]
pub(super) struct Counters(RefCell<Vec<Counted>>);

impl Counters {
    fn count(&self, metrics: &Metrics, method: &'static str, route: &'static str, status: u16) {
        let mut known = self.0.borrow_mut();
        let is_it = |counted: &&Counted| {
            std::ptr::eq(counted.1, route) && counted.2 == status && counted.0 == method
        };
        if let Some((.., counter)) = known.iter().find(is_it) {
            counter.inc();
            return;
        }
        let counter = metrics.requests.get_or_create(&labels(method, route, status)).clone();
        counter.inc();
        known.push((method, route, status, counter));
    }
}

/// The name of a method. A method that is not known is `other`: clients can make up any number of
/// them.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
