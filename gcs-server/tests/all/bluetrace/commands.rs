//! BlueTrace on the command line.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::api::{ask, bearer};
use crate::common::process::{Process, text};

/// What a command says, if it succeeds.
fn run(server: &Process, token: &str, arguments: &[&str]) -> String {
    let output = server.run(token, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A user's token.
fn register(server: &Process, passwords: &Path, number: &str) -> String {
    let post =
        |path: &str, body: Value| ask(server.public, "POST", path, &[], &body.to_string()).ok();
    let sent = post("/bluetrace/v1/passwords", json!({ "number": number }));
    let lines = fs::read_to_string(passwords).unwrap();
    let password = lines.trim().rsplit(' ').next().unwrap();
    let body = json!({ "number": number, "challenge": sent["challenge"], "password": password });
    post("/bluetrace/v1/users", body)["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_contact_is_traced_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("passwords");
    let sender = format!("file:{}", passwords.display());
    let flags = ["--bluetrace", "SG_OTC", "--bluetrace-sender", &sender];
    let server = Process::start(&folder.path().join("data"), &flags);
    let [patient, met] =
        ["+6591234567", "+6591234568"].map(|number| register(&server, &passwords, number));
    let (_, provider) = server.provider("City hospital");
    let code = server.codes(&provider, 1).remove(0);
    let short = server.json(&provider, &["short-code", "+6591234567", &code]);
    let of = |token: &str, method: &str, path: &str, body: Value| {
        ask(server.public, method, path, &[bearer(token)], &body.to_string()).ok()
    };
    let ids = of(&met, "GET", "/bluetrace/v1/temp-ids", Value::Null);
    let typed = json!({ "code": short["short_code"] });
    let token = of(&patient, "POST", "/bluetrace/v1/upload-tokens", typed);
    let heard = &ids["tempIDs"][0];
    let records = json!([{ "timestamp": heard["startTime"], "msg": heard["tempID"], "rssi": -61 }]);
    let file = json!({ "token": token["token"], "records": records });
    of(&patient, "POST", "/bluetrace/v1/uploads", file);

    let tracer = folder.path().join("tracer.json");
    let output = tracer.to_str().unwrap();
    run(&server, &server.operator, &["tracer", "token", "--output", output]);
    let tracer: Value = serde_json::from_str(&fs::read_to_string(&tracer).unwrap()).unwrap();
    let tracer = tracer["token"].as_str().unwrap();
    let cases = server.json(tracer, &["tracer", "cases"]);
    let case = cases["cases"][0]["case"].to_string();
    let seen = server.json(tracer, &["tracer", "encounters", &case]);
    assert_eq!(seen["encounters"][0]["number"], "+6591234568");
    let csv = run(&server, tracer, &["tracer", "encounters", &case, "--csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].starts_with("number,authority,pseudo_id,date,")
            && lines[1].starts_with("+6591234568,"),
        "{csv}"
    );
    assert_eq!(lines.len(), 2);
    // Other authorities.
    let authority =
        |arguments: &[&str]| run(&server, &server.operator, &[&["authority"], arguments].concat());
    let key = "07".repeat(32);
    authority(&["set", "NZ_MOH", "https://bluetrace.example", &key]);
    let list: Value = serde_json::from_str(&authority(&["list"])).unwrap();
    assert_eq!(
        (&list["hai"], &list["authorities"][0]["hai"]),
        (&json!("SG_OTC"), &json!("NZ_MOH"))
    );
    let follow_ups = server.json(tracer, &["tracer", "follow-ups"]);
    assert_eq!(follow_ups["follow_ups"], json!([]));
    for (arguments, problem) in [
        (
            &["follow-up", &case, "NZ_MOH", "--pseudo-id", "-WZ92PM27AAwFsqbJz3G2Q"][..],
            "pseudo_id_unknown",
        ),
        (&["contacts", "1"], "follow_up_unknown"),
    ] {
        let refused = server.run(tracer, &[&["tracer"], arguments].concat());
        assert!(text(&refused.stderr).contains(problem), "{}", text(&refused.stderr));
    }
    authority(&["remove", "NZ_MOH"]);
    let wrong = server.run(&server.operator, &["authority", "remove", "nz/../x"]);
    assert!(text(&wrong.stderr).contains("an HAI is"), "{}", text(&wrong.stderr));
    // Settings that do not go together.
    let alone = crate::common::process::alone;
    let refused = alone(folder.path(), &["serve", "--bluetrace", "SG_OTC"]);
    assert!(text(&refused.stderr).contains("bluetrace_sender"), "{}", text(&refused.stderr));
    let refused =
        alone(folder.path(), &["serve", "--bluetrace", "sg", "--bluetrace-sender", &sender]);
    assert!(text(&refused.stderr).contains("HAI"), "{}", text(&refused.stderr));
    server.stop();
}
