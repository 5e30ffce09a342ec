//! Corrections: first the counts, then the act, then the phones.

use serde_json::{Value, json};

use crate::common::server::{Server, ago, seed};

struct Scene {
    server: Server,
    providers: Vec<(u64, String)>,
    codes: Vec<String>,
    reports: Vec<String>,
}

/// Three reports: one each of two providers that share an element, one an hour later.
fn scene() -> Scene {
    let server = Server::new();
    let providers = vec![server.provider("City"), server.provider("Village")];
    let mut codes = server.codes(&providers[0].1, 2);
    codes.extend(server.codes(&providers[1].1, 2));
    let report = |code: &str, items| {
        let report = server.report(code, items).ok();
        report["tracking_id"].as_str().unwrap().to_owned()
    };
    let mut reports = vec![
        report(&codes[0], vec![seed(ago(1), 1), seed(ago(1), 9), seed(ago(2), 1)]),
        report(&codes[2], vec![seed(ago(1), 2), seed(ago(1), 9)]),
    ];
    server.pass(3600);
    reports.push(report(&codes[3], vec![seed(ago(1), 3)]));
    server.tick();
    Scene { server, providers, codes, reports }
}

impl Scene {
    fn preview(&self, act: &str, select: &Value) -> Value {
        let body = json!({ "act": act, "select": select });
        self.server.operate("POST", "/v1/admin/corrections/preview", body).ok()
    }

    fn correct(&self, act: &str, select: &Value, position: &Value) -> Value {
        let body = json!({ "act": act, "select": select, "position": position });
        self.server.operate("POST", "/v1/admin/corrections", body).ok()
    }

    /// Which of the seeds 1, 2, 3 and 9 of yesterday are published.
    fn seeds(&self) -> Vec<u8> {
        let seeds = [1, 2, 3, 9];
        let present = self.server.present(&seeds.map(|byte| (ago(1), byte)));
        seeds
            .into_iter()
            .zip(present)
            .filter(|(_, present)| *present)
            .map(|(byte, _)| byte)
            .collect()
    }
}

#[test]
fn a_preview_changes_nothing_and_says_what_the_act_does() {
    let scene = scene();
    let select = json!({ "provider": scene.providers[0].0 });
    let before = scene.server.status();
    let preview = scene.preview("retract", &select);
    assert_eq!(scene.server.status(), before);
    assert_eq!(preview["position"], before["position"]);
    assert_eq!((&preview["reports"], &preview["unchanged"]), (&json!(1), &json!(0)));
    let change = |date, out, unchanged| {
        json!({ "date": date, "reports": 1, "elements_out": out, "elements_back": 0,
                "unchanged": unchanged })
    };
    assert_eq!(preview["dates"], json!([change(ago(2), 1, 0), change(ago(1), 1, 1)]));
    assert_eq!(scene.seeds(), [1, 2, 3, 9]);

    let done = scene.correct("retract", &select, &preview["position"]);
    assert_eq!(done, preview);
    // Another report still supports 9.
    assert_eq!(scene.seeds(), [2, 3, 9]);
    scene.server.tick();
    assert_eq!(scene.server.elements(ago(2)), 0);
    let path = format!("/v1/reports/{}", scene.reports[0]);
    let status = scene.server.get(&path).ok();
    assert_eq!(status["status"], "retracted");
    assert_eq!(status["dates"][0]["status"], "retracted");

    let again = scene.preview("retract", &select);
    assert_eq!((&again["reports"], &again["unchanged"]), (&json!(0), &json!(1)));
    let back = scene.preview("reinstate", &select);
    assert_eq!(back["dates"][0]["elements_back"], 1);
    scene.correct("reinstate", &select, &back["position"]);
    assert_eq!(scene.seeds(), [1, 2, 3, 9]);
}

#[test]
fn reports_are_selected_in_every_way() {
    let scene = scene();
    let hour = crate::common::server::noon() + 3600;
    for (select, left) in [
        (json!({ "report": scene.reports[1] }), vec![1, 3, 9]),
        (json!({ "code": scene.codes[3].to_lowercase() }), vec![1, 2, 9]),
        (json!({ "provider": scene.providers[1].0 }), vec![1, 9]),
        (json!({ "provider": scene.providers[1].0, "range": 0 }), vec![1, 9]),
        (json!({ "received_from": hour }), vec![1, 2, 9]),
        (json!({ "received_until": hour }), vec![3]),
        (json!({ "received_from": hour - 1, "received_until": hour + 1 }), vec![1, 2, 9]),
        (json!({ "provider": scene.providers[1].0, "received_until": hour }), vec![1, 3, 9]),
    ] {
        let preview = scene.preview("retract", &select);
        scene.correct("retract", &select, &preview["position"]);
        assert_eq!(scene.seeds(), left, "{select}");
        let back = scene.preview("reinstate", &select);
        scene.correct("reinstate", &select, &back["position"]);
        assert_eq!(scene.seeds(), [1, 2, 3, 9], "{select}");
    }
}

#[test]
fn reports_after_the_preview_are_left_alone() {
    let scene = scene();
    let select = json!({ "provider": scene.providers[0].0 });
    let preview = scene.preview("retract", &select);
    let late = scene.server.report(&scene.codes[1], vec![seed(ago(1), 8)]).ok();
    let done = scene.correct("retract", &select, &preview["position"]);
    assert_eq!(done["reports"], 1);
    scene.server.tick();
    let path = format!("/v1/reports/{}", late["tracking_id"].as_str().unwrap());
    assert_eq!(scene.server.get(&path).ok()["status"], "published");
}

#[test]
fn what_waits_can_be_retracted_before_anyone_sees_it() {
    let scene = scene();
    scene.server.report(&scene.codes[1], vec![seed(ago(1), 8)]).ok();
    let select = json!({ "code": scene.codes[1] });
    let preview = scene.preview("retract", &select);
    assert_eq!(preview["dates"][0]["elements_out"], 0);
    scene.correct("retract", &select, &preview["position"]);
    scene.server.tick();
    assert_eq!(scene.server.present(&[(ago(1), 8)]), [false]);
}

#[test]
fn selections_that_select_nothing_are_refused() {
    let scene = scene();
    let refused = |select: Value, position: Value| {
        let body = json!({ "act": "retract", "select": select, "position": position });
        scene.server.operate("POST", "/v1/admin/corrections", body).refused()
    };
    let position = scene.server.status()["position"].clone();
    let is = |status, code: &str| (status, code.to_owned());
    assert_eq!(refused(json!({}), position.clone()), is(422, "selection_empty"));
    assert_eq!(refused(json!({ "range": 0 }), position.clone()), is(422, "selection_range"));
    let unknown = json!({ "report": "00".repeat(16) });
    assert_eq!(refused(unknown, position.clone()), is(422, "selection_none"));
    assert_eq!(refused(json!({ "provider": 9 }), position.clone()), is(404, "provider_unknown"));
    let range = json!({ "provider": 1, "range": 7 });
    assert_eq!(refused(range, position.clone()), is(404, "range_unknown"));
    assert_eq!(refused(json!({ "code": "x" }), position.clone()), is(403, "code_invalid"));
    assert_eq!(refused(json!({ "provider": 1, "all": 1 }), position), is(400, "json_shape"));
    let ahead = json!(1_000_000);
    assert_eq!(refused(json!({ "provider": 1 }), ahead), is(409, "position_ahead"));
    assert_eq!(scene.seeds(), [1, 2, 3, 9]);
}
