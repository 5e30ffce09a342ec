//! Bodies: read within a limit and a time, without repeating anything of them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::rejection::Rejection;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Largest body of everything but reports and exact match.
const SMALL: usize = 16 << 10;

/// A body of at most `MAX` bytes.
#[derive(Debug)]
pub(crate) struct Raw<const MAX: usize>(pub(crate) Bytes);

/// A small JSON body; an empty one counts as `{}`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Rejection>>>>;

impl<const MAX: usize> FromRequest for Raw<MAX> {
    type Error = Rejection;
    type Future = Extraction<Self>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        Box::pin(async move { read(payload, MAX).await.map(Raw) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Rejection;
    type Future = Extraction<Self>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        Box::pin(async move {
            let body = read(payload, SMALL).await?;
            parse(if body.is_empty() { b"{}" } else { &body }).map(Json)
        })
    }
}

async fn read(mut payload: Payload, max: usize) -> Result<Bytes, Rejection> {
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Rejection::BodyIncomplete)?;
            if body.len() + chunk.len() > max {
                return Err(Rejection::TooLarge { max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    let timed = tokio::time::timeout(PATIENCE, read).await;
    timed.unwrap_or(Err(Rejection::Timeout { seconds: PATIENCE.as_secs() }))
}

/// Reads JSON. Of what is wrong only the place is told: values may be secrets.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Rejection> {
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data => Rejection::JsonShape { line, column },
            _ => Rejection::JsonInvalid { line, column },
        }
    })
}
