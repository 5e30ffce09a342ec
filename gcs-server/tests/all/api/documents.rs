//! What is written about the server is true of it.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::bluetrace::Authority;
use crate::common::process::text;
use crate::common::server::{Server, ago, ask, bearer, seed};

/// The tags of what is on the public listener.
const PUBLIC_TAGS: [&str; 5] = ["files", "reports", "bluetrace", "opentrace", "federation"];

fn committed() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Path, method and operation, all that the document has.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let members = item.as_object().unwrap().iter();
        let methods = members.filter(|(name, _)| METHODS.contains(&name.as_str()));
        methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    operations.collect()
}

/// Every object of the document, the outermost first.
fn objects(value: &Value) -> Vec<&serde_json::Map<String, Value>> {
    match value {
        Value::Object(members) => {
            let inner = members.values().flat_map(objects);
            std::iter::once(members).chain(inner).collect()
        }
        Value::Array(values) => values.iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let made = serde_json::to_value(gcs_server::http::openapi()).unwrap();
    let how = "make it anew: cargo run -p gcs-server -- openapi > gcs-server/openapi.json";
    assert!(made == committed(), "{how}");
    let server = Server::new();
    let served = server.get("/v1/openapi.json");
    assert_eq!(served.ok(), made);
    let known = [("if-none-match", served.header("etag"))];
    let again = ask(server.public, "GET", "/v1/openapi.json", &known, "");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), served.header("etag"));
    let other = [("if-none-match", "\"x\"".to_owned())];
    assert_eq!(ask(server.public, "GET", "/v1/openapi.json", &other, "").body, served.body);
}

/// Every operation of the document is a route, on its listener only, and answers unlike a
/// path that is not there.
#[test]
fn the_document_and_the_routes_are_the_same() {
    let server = Authority::new();
    let document = committed();
    let operations = operations(&document);
    for &(path, method, operation) in &operations {
        let filled: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        let tag = operation["tags"][0].as_str().unwrap();
        let is_public = PUBLIC_TAGS.contains(&tag);
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
        let listed: BTreeSet<&str> = allow.split(", ").collect();
        assert_eq!(listed.len(), allow.split(", ").count(), "{path}: {allow}");
        assert!(allow.contains(&method.to_uppercase()), "{method} {path}: {allow}");
    }
    assert!(operations.len() > 25, "{}", operations.len());
}

/// HEAD is answered like GET, without the body.
#[test]
fn head_is_answered_wherever_get_is() {
    let server = Authority::new();
    let (user, tracer) = (server.register("+6591234567").token, server.tracer());
    let (_, token) = server.provider("City");
    server.codes(&token, 1);
    server.tick();
    let mut answered = 0;
    for (path, _, operation) in operations(&committed()).iter().filter(|row| row.1 == "get") {
        let is_public = PUBLIC_TAGS.contains(&operation["tags"][0].as_str().unwrap());
        let address = if is_public { server.public } else { server.private };
        let token = match operation["security"][0].as_object().and_then(|roles| roles.keys().next())
        {
            Some(role) if role == "provider" => &token,
            Some(role) if role == "tracer" => &tracer,
            Some(role) if role == "user" => &user,
            _ => &server.operator,
        };
        let filled = path.replace("{first}", "0").replace("{version}", "1-1");
        let ask = |method| ask(address, method, &filled, &[bearer(token)], "");
        let (get, head) = (ask("GET"), ask("HEAD"));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for name in ["content-type", "cache-control", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        // The counters of the metrics grow.
        if *path != "/metrics" {
            assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        }
        answered += usize::from(get.status == 200);
        let other = ask("PATCH").header("allow");
        assert!(other.split(", ").any(|method| method == "HEAD"), "{path}: {other}");
    }
    assert!(answered >= 12, "{answered}");
    let post = ask(server.public, "HEAD", "/v1/reports", &[], "");
    assert_eq!((post.status, post.header("allow")), (405, "POST".to_owned()));
}

/// A tool that reads the document finds all that it refers to.
#[test]
fn every_reference_is_resolved() {
    let document = committed();
    let references = objects(&document).into_iter().filter_map(|object| object.get("$ref"));
    let references: BTreeSet<&str> = references.map(|to| to.as_str().unwrap()).collect();
    assert!(references.len() > 25, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let told = objects(&document).into_iter().filter_map(|object| object.get("security"));
    for requirement in told.flat_map(|all| all.as_array().unwrap()) {
        for scheme in requirement.as_object().unwrap().keys() {
            assert!(!document["components"]["securitySchemes"][scheme].is_null(), "{scheme}");
        }
    }
}

#[test]
fn every_parameter_of_a_path_is_declared() {
    for (path, method, operation) in operations(&committed()) {
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let none = Vec::new();
        let declared = operation["parameters"].as_array().unwrap_or(&none);
        let in_path = declared.iter().filter(|parameter| parameter["in"] == "path");
        for parameter in in_path.clone() {
            let name = parameter["name"].as_str().unwrap();
            assert_eq!(parameter["required"], true, "{method} {path}: {name}");
            assert!(parameter["description"].is_string(), "{method} {path}: {name}");
            assert!(parameter["schema"]["type"].is_string(), "{method} {path}: {name}");
        }
        let in_path: BTreeSet<&str> = in_path.map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(in_path, named.collect(), "{method} {path}");
    }
}

#[test]
fn every_operation_is_named_and_described() {
    let document = committed();
    let tags = document["tags"].as_array().unwrap();
    for tag in tags {
        assert!(tag["description"].is_string(), "{tag}");
    }
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let is_told = |member: &str| operation[member].as_str().is_some_and(|it| !it.is_empty());
        assert!(is_told("summary") || is_told("description"), "{method} {path}");
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{method} {path}: {name} is another's");
        for tag in operation["tags"].as_array().unwrap() {
            assert!(tags.iter().any(|told| told["name"] == *tag), "{method} {path}: {tag}");
        }
        let server = document["paths"][path]["servers"][0]["url"].as_str().unwrap();
        let is_public = PUBLIC_TAGS.contains(&operation["tags"][0].as_str().unwrap());
        assert_eq!(server.ends_with(":8080"), is_public, "{method} {path}");
    }
}

/// Problems are declared as they are sent, on every operation that can have one.
#[test]
fn problems_are_declared_as_they_are_sent() {
    let never_a_problem = ["/healthz", "/metrics", "/v1/openapi.json"];
    for (path, method, operation) in operations(&committed()) {
        // What these answer is Firebase's.
        if operation["tags"][0] == "opentrace" {
            assert!(operation["responses"]["401"]["content"]["application/json"].is_object());
            continue;
        }
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            let content = response["content"].as_object();
            if status == "default" || status.starts_with(['4', '5']) {
                let content = content.unwrap();
                // What is sent as to another server is answered as that one answers.
                let (kind, schema) = match path {
                    "/v1/publish" => ("application/json", "PublishAnswer"),
                    _ => ("application/problem+json", "ProblemDetails"),
                };
                let types: Vec<&String> = content.keys().collect();
                assert_eq!(types, [kind], "{method} {path}: {status}");
                let declared = &content[kind]["schema"]["$ref"];
                let expected = format!("#/components/schemas/{schema}");
                assert_eq!(*declared, expected, "{method} {path}: {status}");
            } else if let Some(content) = content {
                assert!(!content.contains_key("application/problem+json"), "{method} {path}");
            }
        }
        let mut asked = Vec::new();
        if !never_a_problem.contains(&path) {
            asked.push("default");
        }
        if operation["security"].is_array() {
            asked.extend(["401", "403"]);
        }
        if operation["requestBody"].is_object() {
            asked.extend(["400", "408", "413"]);
        }
        for status in asked {
            assert!(responses.contains_key(status), "{method} {path}: {status}");
        }
    }
}

/// Whether a value is what a schema of the document says: every member is declared, and every
/// required one is there.
fn fits(document: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return fits(document, schema, value);
    }
    if let Some(any) = schema["oneOf"].as_array() {
        return any.iter().any(|schema| fits(document, schema, value));
    }
    let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    let is_one_of =
        |kinds: &[&str]| types.iter().any(|kind| kinds.contains(&kind.as_str().unwrap()));
    match value {
        Value::Null => is_one_of(&["null"]),
        Value::Bool(_) => is_one_of(&["boolean"]),
        Value::Number(_) => is_one_of(&["integer"]),
        Value::String(text) => {
            let names = schema["enum"].as_array();
            is_one_of(&["string"]) && names.is_none_or(|names| names.contains(&json!(text)))
        }
        Value::Array(values) => {
            is_one_of(&["array"])
                && values.iter().all(|value| fits(document, &schema["items"], value))
        }
        Value::Object(members) => {
            let is_declared = |(name, value): (&String, &Value)| {
                let declared = &schema["properties"][name];
                declared.is_object() && fits(document, declared, value)
            };
            let required = schema["required"].as_array();
            is_one_of(&["object"])
                && members.iter().all(is_declared)
                && required
                    .into_iter()
                    .flatten()
                    .all(|name| members.contains_key(name.as_str().unwrap()))
        }
    }
}

/// What is in an envelope.
fn payload(envelope: &Value) -> Value {
    let payload = BASE64.decode(envelope["payload"].as_str().unwrap().as_bytes()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn answers_are_what_the_document_says() {
    let server = Server::new();
    let document = committed();
    let (provider, token) = server.provider("City");
    let range = json!({ "count": 2 });
    let range = server.provide(&token, "POST", "/v1/provider/ranges", range).ok();
    let path = format!("/v1/provider/ranges/{}/codes?format=json", range["first"]);
    let sheet = server.provide(&token, "GET", &path, Value::Null).ok();
    let code = sheet["codes"][0].as_str().unwrap();
    let report = server.report(code, vec![seed(ago(1), 1), seed(ago(40), 1)]).ok();
    let refused = server.report(sheet["codes"][1].as_str().unwrap(), vec![json!({})]).json();
    let tick = server.tick();
    let select = json!({ "act": "retract", "select": { "provider": provider } });
    let envelope = server.get("/v1/manifest").ok();
    let manifest = payload(&envelope);
    let key = format!("/v1/admin/providers/{provider}/key");
    let get = |path: &str| server.operate("GET", path, Value::Null).ok();
    let post = |path: &str, body: Value| server.operate("POST", path, body).ok();
    for (schema, answer) in [
        ("ReportAnswer", &report),
        (
            "ReportStatus",
            &server.get(&format!("/v1/reports/{}", report["tracking_id"].as_str().unwrap())).ok(),
        ),
        ("ProblemDetails", &refused),
        ("PublishedVersion", &tick),
        ("Envelope", &envelope),
        ("ManifestPayload", &manifest),
        ("KeyListPayload", &payload(&manifest["keys"])),
        ("OpenedRange", &range),
        ("CodeSheet", &sheet),
        ("RangeList", &server.provide(&token, "GET", "/v1/provider/ranges", Value::Null).ok()),
        ("ProviderList", &get("/v1/admin/providers")),
        ("Policy", &get("/v1/admin/policy")),
        ("StatusAnswer", &get("/v1/admin/status")),
        ("DigestAnswer", &get("/v1/admin/digest")),
        ("CorrectionAnswer", &post("/v1/admin/corrections/preview", select)),
        ("NewProvider", &post("/v1/admin/providers", json!({ "name": "Country" }))),
        ("ExportedKey", &post(&key, Value::Null)),
        ("NewToken", &post("/v1/admin/backend-token", Value::Null)),
        ("Series", &post("/v1/admin/series", Value::Null)),
    ]
    .into_iter()
    .map(|(schema, answer)| (schema, answer.clone()))
    .chain(answers_of_bluetrace())
    {
        let declared = &document["components"]["schemas"][schema];
        assert!(answer.is_object() && fits(&document, declared, &answer), "{schema}: {answer:#}");
    }
}

fn answers_of_bluetrace() -> Vec<(&'static str, Value)> {
    let authority = Authority::new();
    let challenge = authority.challenge("+6591234567").ok();
    let secret = challenge["challenge"].as_str().unwrap();
    let password = authority.password("+6591234567");
    let registered = authority.confirm("+6591234567", secret, &password).ok();
    let phone = authority.register("+6591234568");
    let (provider, codes) = authority.upload_codes(2);
    let short = json!({ "number": "+6591234568", "code": codes[0] });
    let short = authority.provide(&provider, "POST", "/bluetrace/v1/provider/short-codes", short);
    let token = authority.upload_token(&phone, &codes[0]).ok();
    let heard = json!([{ "timestamp": authority.home.now(), "msg": authority.heard(&phone) }]);
    let uploaded = authority.upload(&phone, token["token"].as_str().unwrap(), &heard).ok();
    authority.upload_token(&phone, &codes[1]).ok();
    let tracer = authority.operate("POST", "/bluetrace/v1/admin/tracer-token", Value::Null).ok();
    let trace = |method: &str, path: &str| {
        authority.provide(tracer["token"].as_str().unwrap(), method, path, Value::Null).ok()
    };
    let cases = trace("GET", "/bluetrace/v1/tracer/cases");
    let path = format!("/bluetrace/v1/tracer/cases/{}/encounters", cases["cases"][0]["case"]);
    let called = ask(authority.public, "POST", "/bluetrace/callable/getTempIDs", &[], "").json();
    vec![
        ("PasswordAnswer", challenge.clone()),
        ("RegistrationAnswer", registered),
        ("TempIds", authority.of(&phone, "GET", "/bluetrace/v1/temp-ids", "").ok()),
        ("Pin", authority.of(&phone, "GET", "/bluetrace/v1/pin", "").ok()),
        ("ShortCodeAnswer", short.ok()),
        ("UploadTokenAnswer", token.clone()),
        ("UploadAnswer", uploaded),
        ("NewTracerToken", tracer.clone()),
        ("EncounterList", trace("POST", &path)),
        ("CaseList", cases),
        ("CallableError", called),
    ]
}

/// The rows of a table of the handbook between two marks, as cells.
fn rows(mark: &str) -> Vec<Vec<String>> {
    let handbook =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = handbook.split(&format!("<!-- {mark}:begin -->")).nth(1).unwrap();
    let table = table.split(&format!("<!-- {mark}:end -->")).next().unwrap().trim();
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    table.lines().skip(2).map(cells).collect()
}

/// The words in backticks.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What the handbook says to watch is there, and nothing else is.
#[test]
fn the_handbook_names_every_metric() {
    let server = Authority::new();
    server.register("+6591234567");
    // A counter of problems is there once there was one.
    assert_eq!(server.get("/v1/nothing").status, 404);
    let metrics = ask(server.private, "GET", "/metrics", &[], "").body;
    let served = text(&metrics)
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.rsplit_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        })
        .collect::<BTreeSet<_>>();
    let told: BTreeSet<String> = rows("metrics").iter().flat_map(|row| quoted(&row[0])).collect();
    // Only a server with its log in a database has a spool.
    let of_spool = [
        "spool_waiting",
        "spool_waiting_bytes",
        "spool_waiting_since_timestamp_seconds",
        "spool_files_wrong",
        "spooled_reports_total",
    ];
    let of_spool = of_spool.map(|name| format!("gcs_{name}"));
    let served: BTreeSet<String> = served.into_iter().chain(of_spool).collect();
    assert_eq!(told, served);
}

/// The handbook has every kind of report, and everything that can be wrong with an item.
#[test]
fn the_handbook_names_every_kind_and_every_problem_of_items() {
    let told: Vec<BTreeSet<String>> = rows("kinds").iter().map(|row| quoted(&row[0])).collect();
    let kinds = gcs_core::report::Kind::ALL.map(|kind| BTreeSet::from([kind.name().to_owned()]));
    assert_eq!(told, kinds);
    let document = committed();
    let schema = &document["components"]["schemas"]["ItemProblem"];
    let declared: BTreeSet<String> =
        schema["enum"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().into()).collect();
    let described = quoted(schema["description"].as_str().unwrap());
    let told: BTreeSet<String> =
        rows("items").iter().flat_map(|row| [quoted(&row[0]), quoted(&row[1])]).flatten().collect();
    for problem in &declared {
        assert!(described.contains(problem), "{problem} is not described");
        assert!(told.contains(problem), "{problem} is not in the handbook");
    }
}

/// The table for apps has every status and every code that the document has for their requests.
#[test]
fn the_handbook_names_every_answer_to_an_app() {
    let document = committed();
    let mut request = String::new();
    let mut told: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for row in rows("apps") {
        if !row[0].is_empty() {
            request = row[0].replace('`', "");
        }
        for status in row[1].split(", ") {
            let codes = quoted(&row[2]);
            let codes = if codes.is_empty() { BTreeSet::from([String::new()]) } else { codes };
            let answers = codes.into_iter().map(|code| (status.to_owned(), code));
            told.entry(request.clone()).or_default().extend(answers);
        }
    }
    let mut declared: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (path, method, operation) in operations(&document) {
        let request = match (method, path) {
            ("post", "/v1/reports") => "POST /v1/reports",
            ("get", "/v1/reports/{tracking_id}") => "GET /v1/reports/{tracking_id}",
            ("get", path)
                if operation["responses"]["206"].is_object() && path != "/v1/openapi.json" =>
            {
                "GET of a published file"
            }
            _ => continue,
        };
        for (status, response) in operation["responses"].as_object().unwrap() {
            let text = response["description"].as_str().unwrap_or_default();
            let known = |code: &str| declared_codes(&document).contains(code);
            let words = text.split(|symbol: char| !(symbol.is_ascii_lowercase() || symbol == '_'));
            let codes: BTreeSet<String> = match status.as_str() {
                "default" => continue,
                status if status < "400" => BTreeSet::from([String::new()]),
                _ => words.filter(|word| known(word)).map(str::to_owned).collect(),
            };
            assert!(!codes.is_empty(), "{path} {status}: {text}");
            let answers = codes.into_iter().map(|code| (status.clone(), code));
            declared.entry(request.to_owned()).or_default().extend(answers);
        }
    }
    assert_eq!(told, declared);
}

/// The codes of all problems.
fn declared_codes(document: &Value) -> BTreeSet<&str> {
    let codes = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
    codes.iter().filter_map(Value::as_str).collect()
}
