//! BlueTrace that is off, or has the wrong keys.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Authority, settings};
use crate::common::home::{Home, files};
use crate::common::server::{Server, ask, noon};

#[test]
fn where_it_is_off_nothing_is_there() {
    let server = Server::new();
    for (method, path) in [
        ("POST", "/bluetrace/v1/passwords"),
        ("GET", "/bluetrace/v1/temp-ids"),
        ("GET", "/bluetrace/v1/passwords"),
        ("POST", "/bluetrace/callable/getTempIDs"),
        ("POST", "/bluetrace/v1/uploads"),
    ] {
        let answer = ask(server.public, method, path, &[], "{}");
        assert_eq!(answer.refused(), (404, "not_found".into()), "{path}");
    }
    for path in ["/bluetrace/v1/admin/tracer-token", "/bluetrace/v1/tracer/cases/1/encounters"] {
        let answer = server.operate("POST", path, Value::Null);
        assert_eq!(answer.refused(), (404, "not_found".into()), "{path}");
    }
    assert!(!server.home.path("bluetrace.key").exists());
}

#[test]
fn a_log_is_only_used_with_its_keys_and_its_name() {
    let authority = Authority::new();
    authority.register("+6591234567");
    let number = json!({ "number": "+6591234568" });
    let (home, operator) = (Arc::clone(&authority.home), authority.operator.clone());
    drop(authority);
    let refused = |config| {
        let server = Server::start_with(Arc::clone(&home), &operator, config);
        let answer =
            ask(server.public, "POST", "/bluetrace/v1/passwords", &[], &number.to_string());
        let tracer = server.operate("POST", "/bluetrace/v1/admin/tracer-token", Value::Null);
        assert_eq!(tracer.refused().1, "bluetrace_keys");
        let ready = ask(server.private, "GET", "/readyz", &[], "").json();
        assert!(ready["detail"].as_str().unwrap().contains("bluetrace.key"), "{ready}");
        answer.refused()
    };
    let mut config = settings(&home);
    config.bluetrace = Some("NZ_MOH".into());
    assert_eq!(refused(config), (503, "bluetrace_keys".into()));
    let key = home.path("bluetrace.key");
    std::fs::rename(&key, home.path("bluetrace.key.before")).unwrap();
    assert_eq!(refused(settings(&home)), (503, "bluetrace_keys".into()));
    std::fs::rename(home.path("bluetrace.key.before"), &key).unwrap();
    let authority = Authority(Server::start_with(Arc::clone(&home), &operator, settings(&home)));
    authority.register("+6591234568");
}

#[actix_web::test]
async fn a_key_file_that_cannot_be_read_stops_the_start() {
    let home = Home::at(noon());
    let config = settings(&home);
    home.start_with(&config).await.unwrap().stop().await;
    std::fs::write(home.path("bluetrace.key"), "{}").unwrap();
    let before = files(home.folder.path());
    let refused = home.start_with(&config).await.err().unwrap().to_string();
    assert!(refused.contains("bluetrace.key"), "{refused}");
    assert_eq!(before.get("bluetrace.key"), files(home.folder.path()).get("bluetrace.key"));
}

/// What is over is erased without the setting too, and with a wrong key file; whoever withdraws needs no key.
#[test]
fn without_the_keys_users_are_forgotten_all_the_same() {
    let authority = Authority::new();
    let [first, second] = authority.phones();
    let gone = |server: &Server, phone: &super::Phone| {
        server.operate("POST", "/v1/admin/tick", Value::Null).ok();
        let id = data_encoding::BASE64_NOPAD.decode(phone.id.as_bytes()).unwrap();
        let has = |file: &Vec<u8>| file.windows(id.len()).any(|window| window == id);
        super::until(|| !server.home.contents().values().any(has));
    };
    assert_eq!(authority.of(&first, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    let (home, operator) = (Arc::clone(&authority.home), authority.operator.clone());
    drop(authority);
    let server = Server::start_with(Arc::clone(&home), &operator, home.config());
    gone(&server, &first);
    drop(server);
    std::fs::remove_file(home.path("bluetrace.key")).unwrap();
    let authority = Authority(Server::start_with(Arc::clone(&home), &operator, settings(&home)));
    let refused = authority.of(&second, "GET", "/bluetrace/v1/pin", "").refused();
    assert_eq!(refused, (503, "bluetrace_keys".into()));
    assert_eq!(authority.of(&second, "POST", "/bluetrace/v1/withdrawal", "").status, 204);
    gone(&authority, &second);
}
