//! Bodies of requests. They have limits of size and time, and are never repeated in an answer.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::domain::problem::Problem;
use crate::service::Service;

/// Largest body in bytes, of all requests but reports and exact match.
const SMALL: usize = 16 << 10;

/// A body of at most `MAX` bytes.
#[derive(Debug)]
pub(crate) struct Raw<const MAX: usize>(pub(crate) Bytes);

/// A small JSON body; an empty one counts as `{}`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl<const MAX: usize> FromRequest for Raw<MAX> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, MAX);
        Box::pin(async { body.await.map(Raw) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, SMALL);
        Box::pin(async {
            let body = body.await?;
            parse(if body.is_empty() { b"{}" } else { &body }).map(Json)
        })
    }
}

fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    max: usize,
) -> impl Future<Output = Result<Bytes, Problem>> + use<> {
    let service = request.app_data::<web::Data<Service>>();
    let patience = service.map_or(Duration::ZERO, |service| service.body_patience);
    let payload = web::Payload::from_request(request, payload);
    async move {
        let body = payload.await.map_err(|_| Problem::Internal)?.to_bytes_limited(max);
        match tokio::time::timeout(patience, body).await {
            Err(_) => Err(Problem::Timeout { seconds: patience.as_secs() }),
            Ok(Err(_)) => Err(Problem::TooLarge { max }),
            Ok(Ok(body)) => body.map_err(|_| Problem::BodyIncomplete),
        }
    }
}

/// Reads JSON. A problem gives only the line and column, since values may be secrets.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data => Problem::JsonShape { line, column },
            _ => Problem::JsonInvalid { line, column },
        }
    })
}
