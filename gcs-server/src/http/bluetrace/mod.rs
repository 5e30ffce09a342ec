//! The routes of BlueTrace. There are none if it is off.
//!
//! | listener | module | paths |
//! |---|---|---|
//! | public | `users` | `/bluetrace/v1/passwords`, `users`, `withdrawal`, `temp-ids`, `pin` |
//! | public | `uploads` | `/bluetrace/v1/upload-tokens`, `uploads`, `publications` |
//! | public | `callables` | `/bluetrace/callable`: what OpenTrace's apps call |
//! | public | `federation` | `/bluetrace/v1/federation`: what other authorities send |
//! | private | `authorities` | `/bluetrace/v1/admin/authorities` |
//! | private | `codes` | `/bluetrace/v1/provider` |
//! | private | `tracers` | `/bluetrace/v1/tracer`, `/bluetrace/v1/admin/tracer-token` |
//! | private | `follow_ups` | `/bluetrace/v1/tracer/follow-ups`, and those of a case |

mod authorities;
mod callables;
mod codes;
mod federation;
mod follow_ups;
mod tracers;
mod unwrap;
mod uploads;
mod users;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use gcs_core::identifiers::bluetrace::UserId;
use utoipa_actix_web::service_config::ServiceConfig;

use super::auth;
use crate::bluetrace::Authority;
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::service::Service;

pub(super) fn public_routes(config: &mut ServiceConfig<'_>) {
    users::routes(config);
    uploads::routes(config);
    callables::routes(config);
    federation::routes(config);
}

pub(super) fn private_routes(config: &mut ServiceConfig<'_>) {
    codes::routes(config);
    tracers::routes(config);
    follow_ups::routes(config);
    authorities::routes(config);
}

/// The authority, which must be the one that the log knows.
fn authority(service: &Service) -> Result<Arc<Authority>, Problem> {
    let authority = service.bluetrace.clone().ok_or(Problem::NotFound)?;
    service.node.expect_current()?;
    judge::expect_authority(&service.node.state(), authority.identity())?;
    Ok(authority)
}

/// A user, by the token of the request.
#[derive(Clone, Debug)]
struct Phone {
    authority: Arc<Authority>,
    /// SHA-256 of the token.
    token: [u8; 32],
    /// The user's place among the registrations.
    place: u32,
    /// The UserID.
    user: UserId,
}

impl Phone {
    async fn of(request: &HttpRequest) -> Result<Phone, Problem> {
        let (service, token) = auth::sent(request)?;
        let authority = authority(service)?;
        let known = || {
            let state = service.node.state();
            judge::user(&state, &token).map(|(place, user)| (place, UserId(user.id)))
        };
        let (place, user) = match known() {
            // Another node may have registered the user.
            Err(_) if service.log.is_shared() => {
                service.look().await?;
                known()?
            }
            known => known?,
        };
        Ok(Phone { authority, token, place, user })
    }
}

impl FromRequest for Phone {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Phone::of(&request).await })
    }
}

/// As `web::Data<Service>`, in short.
type Services = web::Data<Service>;
