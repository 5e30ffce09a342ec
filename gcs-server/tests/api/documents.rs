//! What is written about the server is true of it.

use serde_json::Value;

use crate::server::{Server, ask};

fn committed() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let made = serde_json::to_value(gcs_server::http::openapi()).unwrap();
    let how = "make it anew: cargo run -p gcs-server -- openapi > gcs-server/openapi.json";
    assert!(made == committed(), "{how}");
    let server = Server::new();
    assert_eq!(server.get("/v1/openapi.json").ok(), made);
}

/// Every operation of the document is a route, on its listener only, and answers unlike a
/// path that is not there.
#[test]
fn the_document_and_the_routes_are_the_same() {
    let server = Server::new();
    let mut operations = 0;
    for (path, methods) in committed()["paths"].as_object().unwrap() {
        let filled: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            let tag = operation["tags"][0].as_str().unwrap();
            let is_public = ["files", "reports"].contains(&tag);
            let address = if is_public { server.public } else { server.private };
            let answer = ask(address, &method.to_uppercase(), &filled.join("/"), &[], "");
            let code = answer.json()["code"].as_str().unwrap_or("none").to_owned();
            let is_file = tag == "files" && path != "/v1/manifest";
            assert!(is_file || code != "not_found", "{method} {path}: {code}");
            assert_ne!(code, "method_not_allowed", "{method} {path}");
            let declared = operation["responses"].as_object().unwrap();
            let status = answer.status.to_string();
            let is_told = declared.contains_key(&status) || (code == "unavailable");
            assert!(is_told, "{method} {path}: {status} is not in the document");

            let other = ask(address, "PATCH", &filled.join("/"), &[], "");
            assert_eq!(other.refused(), (405, "method_not_allowed".to_owned()), "{path}");
            let allow = other.header("allow");
            assert!(allow.contains(&method.to_uppercase()), "{method} {path}: {allow}");
        }
    }
    assert!(operations > 25, "{operations}");
}

/// The handbook's table of refusals is the one in the code.
#[test]
fn the_table_of_refusals_is_the_codes() {
    let code = include_str!("../../src/rejection.rs");
    let rows = code.lines().filter_map(|line| {
        let row = line.split_once("=> (\"")?.1.trim_end_matches("),");
        let mut fields = row.split(", ");
        let name = fields.next()?.trim_end_matches('"');
        let (status, retry) = (fields.next()?, fields.next()? == "true");
        Some(format!("| `{name}` | {status} | {} |", if retry { "yes" } else { "no" }))
    });
    let rows: Vec<String> = rows.collect();
    let table = include_str!("../../README.md");
    let table = table.split("<!-- refusals:begin -->").nth(1).unwrap();
    let table = table.split("<!-- refusals:end -->").next().unwrap().trim();
    let told: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(told.len(), rows.len());
    assert!(rows.len() > 30);
    for (told, row) in told.iter().zip(&rows) {
        assert!(told.starts_with(row.as_str()), "{told} is not {row}");
    }
}
