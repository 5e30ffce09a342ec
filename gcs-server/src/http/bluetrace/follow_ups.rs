//! Contacts whom one authority has another one call.

use actix_web::{HttpResponse, get, post, web};
use gcs_core::Date;
use gcs_core::identifiers::bluetrace::{Hai, MAX_CONTACTS, PseudoId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::federation::read_one;
use super::{Services, authority, tracers};
use crate::domain::events::{Event, ForeignContact};
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::http::auth::{Caller, Tracer};
use crate::http::body::Json;
use crate::http::{Answer, not_stored};

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(make_follow_up).service(list_follow_ups).service(see_contacts);
}

/// Whom another authority is to call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FollowUpRequest {
    /// HAI of the authority whose users they are.
    #[schema(example = "NZ_MOH")]
    authority: String,
    /// The PseudoIDs of the contacts: 1 to 600, all among the case's encounters.
    #[schema(min_items = 1, max_items = 600, example = json!(["GWZ92PM27AAwFsqbJz3G2Q"]))]
    pseudo_ids: Vec<String>,
}

/// Most PseudoIDs of one follow-up: as many as fit in a small body.
const MOST_PSEUDO_IDS: usize = 600;

const _: () = assert!(MOST_PSEUDO_IDS <= MAX_CONTACTS);

/// Have another authority call contacts
///
/// The authority gets the PseudoIDs with the dates of the last meetings, and calls whom it can. It is not told who the
/// case is. What you ask for is written to the log, and before it that you have looked at the case. The same again
/// changes nothing.
#[utoipa::path(
    operation_id = "make_follow_up",
    params(("case" = u64, Path, description = "Number of the case", example = 1234)),
    request_body = FollowUpRequest,
    responses(
        (status = 202, description = "It is in the log, and sent as soon as the authority can be reached"),
        (status = 400, description = "json_invalid, json_shape, body_incomplete; parameter_invalid: none, or too many; the case is erased within two days"),
        (status = 404, description = "case_unknown, authority_unknown"),
        (status = 422, description = "pseudo_id_unknown"),
    ),
)]
#[post("/bluetrace/v1/tracer/cases/{case}/follow-ups")]
async fn make_follow_up(
    service: Services,
    caller: Caller<Tracer>,
    case: web::Path<u64>,
    Json(FollowUpRequest { authority: hai, pseudo_ids }): Json<FollowUpRequest>,
) -> Answer {
    authority(&service)?;
    let case = case.into_inner();
    let hai = hai.parse::<Hai>().map_err(|_| Problem::AuthorityUnknown)?.to_string();
    if pseudo_ids.is_empty() || pseudo_ids.len() > MOST_PSEUDO_IDS {
        return Err(Problem::ParameterInvalid { what: "`pseudo_ids` has 1 to 600 PseudoIDs" });
    }
    // Whether a PseudoID is known tells whom the case met: it is a look.
    let upload = caller.act(&service, move |state, _| judge::see_case(state, case)).await?;
    let (_, meetings) = tracers::read(&service, upload).await?;
    let contact = |text: String| {
        let met = text.parse::<PseudoId>().ok();
        let met = met.and_then(|id| Some((id, meetings.last_date(&hai, id)?)));
        let (id, date) = met.ok_or(Problem::PseudoIdUnknown { pseudo_id: shown(&text) })?;
        Ok(ForeignContact { pseudo_id: id.0, day: date.days() })
    };
    let contacts = pseudo_ids.into_iter().map(contact).collect::<Result<Vec<_>, Problem>>()?;
    let make =
        move |state: &_, context| judge::make_follow_up(state, context, case, &hai, &contacts);
    caller.act(&service, make).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// A PseudoID in the text of a problem: nothing else is shown.
fn shown(text: &str) -> String {
    let is_one = text.parse::<PseudoId>().is_ok();
    if is_one { text.to_owned() } else { "a text that is no PseudoID".to_owned() }
}

/// What other authorities have asked.
#[derive(Serialize, ToSchema)]
struct FollowUpList {
    /// The follow-ups that have not expired, the oldest first.
    follow_ups: Vec<FollowUpEntry>,
}

/// Contacts whom another authority asks to be called.
#[derive(Serialize, ToSchema)]
struct FollowUpEntry {
    /// Number of the follow-up.
    #[schema(example = 1234)]
    follow_up: u64,
    /// HAI of the authority that asks.
    #[schema(example = "SG_OTC")]
    authority: String,
    /// Unix time, in seconds, at which it came.
    #[schema(example = 1_770_206_400)]
    received: u64,
    /// Number of contacts, of whom some may have withdrawn since.
    #[schema(example = 3)]
    contacts: u32,
}

/// List what other authorities have asked
///
/// Nobody's number is shown.
#[utoipa::path(
    operation_id = "list_follow_ups",
    responses((status = 200, description = "The follow-ups", body = FollowUpList)),
)]
#[get("/bluetrace/v1/tracer/follow-ups")]
async fn list_follow_ups(service: Services, _: Caller<Tracer>) -> Answer {
    authority(&service)?;
    let state = service.node.state();
    let known = state.bluetrace.iter().flat_map(|bluetrace| &bluetrace.federation.to_call);
    let mut follow_ups: Vec<FollowUpEntry> = known
        .map(|((hai, _), to_call)| FollowUpEntry {
            follow_up: to_call.position,
            authority: hai.clone(),
            received: to_call.time,
            contacts: to_call.contacts,
        })
        .collect();
    drop(state);
    follow_ups.sort_unstable_by_key(|entry| entry.follow_up);
    Ok(not_stored(HttpResponse::Ok(), &FollowUpList { follow_ups }))
}

/// Whom to call.
#[derive(Serialize, ToSchema)]
struct ContactList {
    /// The contacts who are registered, by date and then number.
    contacts: Vec<ContactEntry>,
}

/// A person to call.
#[derive(Serialize, ToSchema)]
struct ContactEntry {
    /// The person's phone number.
    #[schema(example = "+6591234567")]
    number: String,
    /// The UTC date on which the person last met the patient.
    #[schema(value_type = String, format = Date, example = "2026-01-05")]
    date: Date,
}

/// See whom to call for another authority
///
/// That you have looked is written to the log before you are answered. Who has withdrawn is left out. It takes some
/// seconds with millions of users; one is answered at a time.
#[utoipa::path(
    operation_id = "see_contacts",
    params(("follow_up" = u64, Path, description = "Number of the follow-up", example = 1234)),
    responses(
        (status = 200, description = "The contacts", body = ContactList),
        (status = 400, description = "parameter_invalid"),
        (status = 404, description = "follow_up_unknown"),
    ),
)]
#[post("/bluetrace/v1/tracer/follow-ups/{follow_up}/contacts")]
async fn see_contacts(service: Services, caller: Caller<Tracer>, place: web::Path<u64>) -> Answer {
    let authority = authority(&service)?;
    let position = *place;
    caller.act(&service, move |state, _| judge::see_follow_up(state, position)).await?;
    let Event::FollowUpReceived(received) = read_one(&service, position).await? else {
        return Err(Problem::FollowUpUnknown);
    };
    let asking: Hai = received.hai.parse().map_err(|_| Problem::Internal)?;
    let search = std::sync::Arc::clone(&authority.search).lock_owned().await;
    let users = service.node.state().bluetrace.as_ref().map(|bluetrace| bluetrace.users.clone());
    let users = users.ok_or(Problem::FollowUpUnknown)?;
    let found = web::block(move || {
        let found = authority.find_contacts(&asking, &received.contacts, &users);
        // Also when the client has gone: until then a core is busy.
        drop(search);
        found
    });
    let found = found.await.map_err(|_| Problem::Internal)?.into_iter();
    let entry = |(number, date): (crate::domain::phone_number::PhoneNumber, Date)| ContactEntry {
        number: number.to_string(),
        date,
    };
    Ok(not_stored(HttpResponse::Ok(), &ContactList { contacts: found.map(entry).collect() }))
}
