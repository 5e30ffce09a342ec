//! Bodies: read within a limit and a time, without repeating anything of them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::domain::problem::Problem;
use crate::service::Service;

/// Largest body of everything but reports and exact match.
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
        let (payload, patience) = (payload.take(), patience(request));
        Box::pin(async move { read(payload, MAX, patience?).await.map(Raw) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (payload, patience) = (payload.take(), patience(request));
        Box::pin(async move {
            let body = read(payload, SMALL, patience?).await?;
            parse(if body.is_empty() { b"{}" } else { &body }).map(Json)
        })
    }
}

fn patience(request: &HttpRequest) -> Result<Duration, Problem> {
    let service = request.app_data::<web::Data<Service>>().ok_or(Problem::Internal)?;
    Ok(service.body_patience)
}

async fn read(mut payload: Payload, max: usize, patience: Duration) -> Result<Bytes, Problem> {
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Problem::BodyIncomplete)?;
            if body.len() + chunk.len() > max {
                return Err(Problem::TooLarge { max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    let timed = tokio::time::timeout(patience, read).await;
    timed.unwrap_or(Err(Problem::Timeout { seconds: patience.as_secs() }))
}

/// Reads JSON. Of what is wrong only the place is told: values may be secrets.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data => Problem::JsonShape { line, column },
            _ => Problem::JsonInvalid { line, column },
        }
    })
}
