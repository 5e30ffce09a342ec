//! Vectors: TempIDs and a token that the original code of OpenTrace made with a fixed clock, key
//! and IVs, and the deterministic profile as two other programs compute it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use data_encoding::HEXLOWER;

use super::*;
use crate::DAY_SECONDS;

const USER: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz01";

fn count_up() -> [u8; 32] {
    core::array::from_fn(|at| at as u8)
}

fn iv(label: &str) -> [u8; 16] {
    *Digest::of(label.as_bytes()).0.first_chunk().unwrap()
}

/// TempID i of batch c as OpenTrace makes it.
fn temp_id(c: u32, user: &str, now: u32, i: u32) -> (TempIdContent, TempId) {
    let start = now - 60 + 900 * i;
    let content = TempIdContent { user: user.parse().unwrap(), start, expiry: start + 900 };
    (content, content.encrypt(&TempIdKey::new(count_up()), iv(&format!("iv {c} {i}"))))
}

const BATCHES: [(&str, u32); 3] = [
    (USER, 1_586_000_000),
    ("000000000000000000000000000A", 1_587_945_600),
    ("zzzzzzzzzzzzzzzzzzzzzzzzzzzz", 2_147_480_000),
];

#[test]
fn tempids_are_those_of_opentrace() {
    for (c, i, start, text) in [
        (
            0,
            0,
            1_585_999_940,
            "+TSeXRWD9t5A6QtkT9bHOa8XXHh4zk5PpsW59aY3Es0zji5DGcW6JA6QZ+xQNNND48qVehi/zX4JYnRTQQ==",
        ),
        (
            0,
            1,
            1_586_000_840,
            "rd2ACZkoquG4yRzeyele53jjeHW2pjF5faD3lPlpMdt9qN+n64g9on4qeliAOM65Hsux0Qh61Uxbgcccng==",
        ),
        (
            0,
            99,
            1_586_089_040,
            "bluuRcL5u4oG/BoxPiUdrVnFANAt5apWFp9DwBgAjyTx2qcmais9EgURQ+X8OJcgo9d6POfZxdPZIiDSvg==",
        ),
        (
            1,
            0,
            1_587_945_540,
            "WBbmKXZwJ165131i4ukjCxaDvKaarero7DDmI44SWjgchFU3IdijEkobQV+WaqGAJBJSVRCCZP8radgaSQ==",
        ),
        (
            1,
            47,
            1_587_987_840,
            "wHzcKvPkjM7GWmtHzmQYqPIxRwsUFrgvkw/IPST/I43kU6Cem5D5Fy3Nia8fFiMdvV0QUPme4ZE9zcnW/g==",
        ),
        (
            2,
            3,
            2_147_482_640,
            "lHJ/V1UiKZkqZlU0Xy67UE3z38m2koLFyc53Qq9Grwb1C/MCc9f9ODL/LPRul/eSegxDJEDBDLVSREiYeQ==",
        ),
    ] {
        let (user, now) = BATCHES[c as usize];
        let (content, id) = temp_id(c, user, now, i);
        assert_eq!((content.start, id.to_string().as_str()), (start, text));
        let read: TempId = text.parse().unwrap();
        assert_eq!(read.decrypt(&TempIdKey::new(count_up())), Some(content));
    }
}

#[test]
fn whole_batches_are_those_of_opentrace() {
    for (c, digest) in [
        (0, "921479cd0bcc7b27eeff6d43121a7ab8b7f4a05ff6bebc33093bddcaad177583"),
        (1, "fc8b86703a8f2e653e06642fcc0cf464f54651cd39a5c16656fef4dadf305796"),
    ] {
        let (user, now) = BATCHES[c as usize];
        let texts: Vec<String> = (0..100).map(|i| temp_id(c, user, now, i).1.to_string()).collect();
        assert_eq!(Digest::of(texts.join("\n").as_bytes()).to_string(), digest);
    }
}

#[test]
fn the_upload_token_is_that_of_opentrace() {
    let text = "g+5Dibv/Iha8YPNRCV1TYbWMbCeOmTNml0c2JTcblXCfHud0cERI8zC7x2mUUoAdAQ1yzHESi+VcchuJavcA7LHHCkkh30mHKdMV6JoCXBWB0Rsrqw5WwEfdT+sTYDX4w3e8PD+XGkKELOpBjTtBpL9FJA==";
    let token = UploadToken {
        user: USER.parse().unwrap(),
        created_ms: 1_586_000_000_123,
        upload_code: "123456".to_string(),
    };
    let key = TokenKey::new(count_up());
    assert_eq!(token.seal(&key, iv("iv token")).as_deref(), Ok(text));
    assert_eq!(UploadToken::open(&key, text, 1_586_000_000_123), Ok(token));
}

fn ring(today: u32) -> KeyRing {
    let date = |days| Date::from_days(days).unwrap();
    KeyRing::new(date(18_356), count_up(), date(today))
}

#[test]
fn the_deterministic_profile_is_that_of_two_other_programs() {
    let (ring, user, hai) = (ring(18_377), USER.parse().unwrap(), "SG_OTC".parse().unwrap());
    for (day, window, iv, text, expected) in [
        (
            18_356,
            1_762_176,
            "40bb80621b06168e26a3a6403ca2c9d1",
            "p0rk1VCJXVJ+Fhip2CGQ0iA4xdNVc63BhObn7rtAu4BiGwYWjiajpkA8osnRL2vtr93LykGeiidgMcbEkg==",
            "fab13f643c4e1471cdf4a96b7a67a3964db682bc02824f52cad051a34c8b6f10",
        ),
        (
            18_357,
            1_762_272,
            "0855d167b88907209440100296ea8b39",
            "1UC0+KcOCzRJQD7h9TpGxwnqz0Itc6gJRss/bvUIVdFnuIkHIJRAEAKW6os5ywwRRlHf+qtv+5+jxY4WtQ==",
            "f2b36eb8c28a63bccce2c1f3f970cd590f345022135ffa0b9984c0715e799254",
        ),
        (
            18_376,
            1_764_191,
            "e04503f5a326dd4bdf6916423961a15f",
            "jyFJLnGgbf5/9oaGARxfHMkpIc9cW94fKRMBAxTgRQP1oybdS99pFkI5YaFf5rt44JmllIDmaGDqUm9gFA==",
            "0fdb91a281bf8adeda6b29fe825216c527a1566234d2b1e5fcd2a8678e160c74",
        ),
    ] {
        let id = ring.mint(&user, window).unwrap();
        assert_eq!(date_of(window).days(), day);
        assert_eq!(HEXLOWER.encode(&id.0[29..45]), iv);
        assert_eq!(id.to_string(), text);
        assert_eq!(HEXLOWER.encode(&element(&hai, window, &id)), expected);
    }
}

#[test]
fn the_2016_tempids_of_21_days_and_their_elements_have_the_right_digests() {
    let (ring, user, hai) = (ring(18_377), USER.parse().unwrap(), "SG_OTC".parse().unwrap());
    let windows = (18_356..18_377).flat_map(|day| windows_of(Date::from_days(day).unwrap()));
    let ids: Vec<_> = windows.map(|window| (window, ring.mint(&user, window).unwrap())).collect();
    assert_eq!(ids.len(), 2016);
    let raw: Vec<u8> = ids.iter().flat_map(|(_, id)| id.0).collect();
    assert_eq!(
        Digest::of(&raw).to_string(),
        "dcf16f596e56da21430457f6d6fe13c4fa4cca55c194590cb1797372beb3b244"
    );
    let mut elements: Vec<_> = ids.iter().map(|(window, id)| element(&hai, *window, id)).collect();
    elements.sort_unstable();
    assert_eq!(
        Digest::of(&elements.concat()).to_string(),
        "eb2967494edd86d6ed1f9c87fe9b85585d323b256a0bc59fbbcb336704272431"
    );
}

#[test]
fn a_batch_is_the_same_twice_in_a_window_and_uses_two_keys_across_midnight() {
    let (ring, user) = (ring(18_357), USER.parse().unwrap());
    let now = 18_357 * DAY_SECONDS + 40_000;
    let batch = ring.batch(&user, now).unwrap();
    assert_eq!(batch.temp_ids.len(), 100);
    assert_eq!(batch.refresh_time, now + 43_200);
    let window = now / 900 * 900;
    assert_eq!(ring.batch(&user, window).unwrap().temp_ids, batch.temp_ids);
    assert_eq!(ring.batch(&user, window + 899).unwrap().temp_ids, batch.temp_ids);
    let next = ring.batch(&user, window + 900).unwrap().temp_ids;
    assert_eq!(next[..99], batch.temp_ids[1..]);
    assert_eq!(u64::from(batch.temp_ids[0].start), window);
    for pair in batch.temp_ids.windows(2) {
        assert_eq!(pair[0].expiry, pair[1].start);
    }
    // Each day's TempIDs are opened by that day's key and by no other.
    let day_ring = |day: u32| {
        let secret = (18_356..day).fold(count_up(), |secret, _| {
            crate::identifiers::secret::hmac(&secret, &[b"bt-det/v1/ratchet"]).0
        });
        let day = day.to_be_bytes();
        TempIdKey(crate::identifiers::secret::hkdf(&secret, &[b"bt-det/v1/enc", &day]))
    };
    let (today, tomorrow) = (day_ring(18_357), day_ring(18_358));
    for minted in &batch.temp_ids {
        let is_today = u64::from(minted.start) < 18_358 * DAY_SECONDS;
        assert_eq!(minted.temp_id.decrypt(&today).is_some(), is_today);
        assert_eq!(minted.temp_id.decrypt(&tomorrow).is_some(), !is_today);
    }
    assert!(u64::from(batch.temp_ids[99].start) > 18_358 * DAY_SECONDS);
}

#[test]
fn the_pseudo_id_is_that_of_two_other_programs() {
    let key = PseudoIdKey::new(Digest::of(b"pseudo test key").0);
    assert_eq!(PseudoId::of(&key, &USER.parse().unwrap()).to_string(), "GWZ92PM27AAwFsqbJz3G2Q");
}
