//! Small texts: paths, dates, exact-match requests.

use gcs_core::ELEMENT_LEN;
use gcs_core::exact::{MAX_QUERIES, Request};
use gcs_core::files::{Path, SPANS};
use gcs_core::{Date, Digest};

use crate::naive::paths;
use crate::reader::Reader;

/// The input is a text, and also the fields of a path. A text is a path if and only if the naive
/// reader says so. A path is shown as the same text and does not lead out of its folder; a text
/// with one byte more or less is not the same path. Every path of legal fields is read back.
pub fn path(data: &[u8]) {
    let text = str::from_utf8(data).ok();
    let is_path = text.is_some_and(|text| paths::path(text).is_some());
    assert_eq!(text.is_some_and(|text| text.parse::<Path>().is_ok()), is_path);
    if let Some(text) = text
        && let Ok(path) = text.parse::<Path>()
    {
        assert_eq!(path.to_string(), text);
        assert!(text.starts_with("/v1/") && !text.contains("//") && !text.ends_with('/'));
        let is_legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'/' | b'.');
        assert!(text.bytes().all(is_legal), "{text}");
        let changes = ["/v1/manifest", "/v1/exports/index.txt"].contains(&text);
        assert_eq!(path.is_immutable(), !changes);
        for other in [&text[1..], &text[..text.len() - 1], &format!("{text}/")] {
            assert_ne!(other.parse(), Ok(path));
        }
    }

    let mut reader = Reader::new(data);
    let kind = reader.u8() % 10;
    let (series, number, digest) = (reader.u32(), reader.u32(), Digest(reader.array()));
    let date = Date::from_days(number).unwrap_or(Date::MAX);
    let path = match kind {
        0 => Path::Manifest,
        1 => Path::KeptManifest { series, tick: number },
        2 => Path::Index(digest),
        3 => Path::Set { date, identity: digest },
        4 => Path::Bundle { span: SPANS[reader.position(4)], series, to: number },
        5 => Path::Checks { date, root: digest },
        6 => Path::Seeds(digest),
        7 => Path::Export { date, sha256: digest },
        8 => Path::ExportList(digest),
        _ => Path::ExportIndex,
    };
    assert_eq!(path.to_string().parse(), Ok(path));
}

/// The input is a text, and also a day number. A text is a date if and only if the naive reader,
/// which counts year by year and month by month, has that day, and both give it the same
/// number. Every number is shown as the naive reader shows it.
pub fn date(data: &[u8]) {
    let by_calendar = str::from_utf8(data).ok().and_then(paths::date);
    let parsed = str::from_utf8(data).ok().and_then(|text| text.parse::<Date>().ok());
    assert_eq!(parsed.map(Date::days), by_calendar);

    let mut reader = Reader::new(data);
    let days = reader.u32() & 0x3f_ffff;
    let Ok(date) = Date::from_days(days) else {
        assert!(days > Date::MAX.days());
        return;
    };
    let text = date.to_string();
    assert_eq!(paths::date(&text), Some(days));
    assert_eq!(paths::date_text(days).as_ref(), Some(&text));
    assert_eq!(text.parse(), Ok(date));
    assert_eq!(date.next().and_then(Date::previous), (date < Date::MAX).then_some(date));
    assert_eq!(Date::of_time(date.start() + reader.u64() % 86_400), date);
    assert_eq!(date.next().map_or(date.end(), Date::start), date.end());
}

/// The input is an exact-match request in JSON. A request that can be read keeps the limits, is
/// the same after it is written and read again, and has one answer for each query.
pub fn exact(data: &[u8]) {
    let Ok(request) = Request::from_json(data) else { return };
    assert!(request.queries.len() <= MAX_QUERIES);
    assert!(request.queries.iter().all(|query| ELEMENT_LEN.contains(&query.element.len())));
    let json: serde_json::Value = serde_json::from_slice(data).expect("a request is JSON");
    let queries = json["queries"].as_array().expect("an object with queries");
    assert!(queries.iter().all(serde_json::Value::is_object), "{json}");
    let json = serde_json::to_vec(&request).expect("a request is JSON");
    assert_eq!(Request::from_json(&json).as_ref(), Ok(&request));
    let mut asked = Vec::new();
    let response = request.answer(|date, element| {
        asked.push((date, element.to_vec()));
        element[0] & 1 == 1
    });
    assert!(asked.iter().map(|(_, element)| element[0] & 1 == 1).eq(response.present));
    assert!(asked.into_iter().eq(request.queries.into_iter().map(|q| (q.date, q.element))));
}
