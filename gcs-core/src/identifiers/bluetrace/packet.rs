//! What two phones exchange over Bluetooth.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::error::PacketError;
use super::record::whole;
use super::user::Hai;
use crate::json;

/// Most bytes of a packet: those of a Bluetooth attribute.
pub const MAX_PACKET_BYTES: usize = 512;

/// A packet that a phone gives to another: a JSON object in UTF-8.
///
/// | spelling | both | peripheral, read from it | central, written to the peripheral |
/// |---|---|---|---|
/// | version 2 | `v`, `id`, `o` | `mp` | `mc`, `rs` |
/// | version 2, other names | `v`, `id`, `o` | `md` | `md`, `rc` or `rs` |
/// | version 1 | `v`, `msg`, `org` | `modelP` | `modelC`, `rssi`, `txPower` or not |
///
/// All three are read; version 2 is written. Other members are ignored. Signal strength and
/// transmission power are whole numbers of dBm in 8 bits, as in Bluetooth: a fraction is rounded,
/// and what does not fit is an error.
///
/// ```
/// use gcs_core::identifiers::bluetrace::{Packet, Role};
///
/// let packet = Packet {
///     id: "a TempID".to_string(),
///     org: "SG_OTC".parse()?,
///     model: "Phone 1".to_string(),
///     role: Role::Central { rssi: -60, tx_power: None },
/// };
/// let json = packet.to_json()?;
/// assert_eq!(json, br#"{"v":2,"id":"a TempID","o":"SG_OTC","mc":"Phone 1","rs":-60}"#);
/// assert_eq!(Packet::from_json(&json)?, packet);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Debug` shows only the authority and the role.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// The TempID as text. Of another authority it may be anything.
    pub id: String,
    /// The authority of the TempID.
    pub org: Hai,
    /// Model of the phone that sends it.
    pub model: String,
    /// Which phone sends it.
    pub role: Role,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({}, {:?})", self.org, self.role)
    }
}

/// Which of two phones sends a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that advertises.
    Peripheral,
    /// The one that scans and connects. It tells the other what it measured.
    Central {
        /// Signal strength in dBm.
        rssi: i8,
        /// Transmission power in dBm; only packets of version 1 have it.
        tx_power: Option<i8>,
    },
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

#[derive(Deserialize)]
struct Version1 {
    msg: String,
    org: String,
    #[serde(rename = "modelP")]
    model_p: Option<String>,
    #[serde(rename = "modelC")]
    model_c: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    rssi: Option<i8>,
    #[serde(default, rename = "txPower", deserialize_with = "whole")]
    tx_power: Option<i8>,
}

#[derive(Default, Deserialize, Serialize)]
struct Version2 {
    #[serde(skip_deserializing)]
    v: u64,
    id: String,
    o: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mc: Option<String>,
    #[serde(skip_serializing)]
    md: Option<String>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    rs: Option<i8>,
    #[serde(default, deserialize_with = "whole", skip_serializing)]
    rc: Option<i8>,
}

impl Packet {
    /// Reads a packet in any of the three spellings.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn from_json(json: &[u8]) -> Result<Packet, PacketError> {
        if json.len() > MAX_PACKET_BYTES {
            return Err(PacketError::TooLong { max: MAX_PACKET_BYTES, got: json.len() });
        }
        match json::from_slice::<Version>(json)?.v {
            1 => json::from_slice::<Version1>(json)?.read(),
            2 => json::from_slice::<Version2>(json)?.read(),
            got => Err(PacketError::Version { got }),
        }
    }

    /// The packet as version 2. The transmission power is not in it.
    ///
    /// # Errors
    /// [`PacketError::TooLong`] if it has more than [`MAX_PACKET_BYTES`].
    pub fn to_json(&self) -> Result<Vec<u8>, PacketError> {
        let (id, o, model) = (self.id.clone(), self.org.to_string(), Some(self.model.clone()));
        let packet = Version2 { v: 2, id, o, ..Version2::default() };
        let packet = match self.role {
            Role::Peripheral => Version2 { mp: model, ..packet },
            Role::Central { rssi, .. } => Version2 { mc: model, rs: Some(rssi), ..packet },
        };
        let Ok(json) = serde_json::to_vec(&packet) else {
            unreachable!("texts and numbers are JSON")
        };
        match json.len() {
            ..=MAX_PACKET_BYTES => Ok(json),
            got => Err(PacketError::TooLong { max: MAX_PACKET_BYTES, got }),
        }
    }
}

impl Version1 {
    fn read(self) -> Result<Packet, PacketError> {
        let Version1 { msg, org, model_p, model_c, rssi, tx_power } = self;
        let is_central = model_c.is_some();
        let model = only([model_p, model_c], "modelP and modelC")?;
        let role = role(is_central, rssi, tx_power, "rssi")?;
        Ok(Packet { id: msg, org: org.parse()?, model, role })
    }
}

impl Version2 {
    fn read(self) -> Result<Packet, PacketError> {
        let Version2 { v: _, id, o, mp, mc, md, rs, rc } = self;
        let member = "one of rs and rc";
        if rs.is_some() && rc.is_some() {
            return Err(PacketError::Rssi { member });
        }
        let rssi = rs.or(rc);
        let is_central = mc.is_some() || md.is_some() && rssi.is_some();
        let model = only([mp, mc, md], "mp, mc and md")?;
        Ok(Packet { id, org: o.parse()?, model, role: role(is_central, rssi, None, member)? })
    }
}

/// The one model that is there.
fn only<const N: usize>(
    models: [Option<String>; N],
    expected: &'static str,
) -> Result<String, PacketError> {
    let got = models.iter().flatten().count();
    let model = models.into_iter().flatten().next().filter(|_| got == 1);
    model.ok_or(PacketError::Model { expected, got })
}

fn role(
    is_central: bool,
    rssi: Option<i8>,
    tx_power: Option<i8>,
    member: &'static str,
) -> Result<Role, PacketError> {
    match (is_central, rssi) {
        (true, Some(rssi)) => Ok(Role::Central { rssi, tx_power }),
        (false, None) => Ok(Role::Peripheral),
        _ => Err(PacketError::Rssi { member }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn packet(role: Role) -> Packet {
        let (id, model) = ("dGVtcA==".to_string(), "Phone 1".to_string());
        Packet { id, org: "SG_OTC".parse().unwrap(), model, role }
    }

    #[test]
    fn all_three_spellings_are_read() {
        let central = |tx_power| packet(Role::Central { rssi: -60, tx_power });
        for (json, expected) in [
            (r#"{"v":2,"id":"dGVtcA==","o":"SG_OTC","mp":"Phone 1"}"#, packet(Role::Peripheral)),
            (r#"{"id":"dGVtcA==","mc":"Phone 1","rs":-60,"o":"SG_OTC","v":2}"#, central(None)),
            (r#"{"id":"dGVtcA==","mc":"Phone 1","rs":-59.5,"o":"SG_OTC","v":2}"#, central(None)),
            (r#"{"id":"dGVtcA==","md":"Phone 1","o":"SG_OTC","v":2}"#, packet(Role::Peripheral)),
            (r#"{"id":"dGVtcA==","md":"Phone 1","rc":-60,"o":"SG_OTC","v":2}"#, central(None)),
            (r#"{"id":"dGVtcA==","md":"Phone 1","rs":-60,"o":"SG_OTC","v":2}"#, central(None)),
            (r#"{"id":"dGVtcA==","mc":"Phone 1","rc":-60,"o":"SG_OTC","v":2}"#, central(None)),
            (
                r#"{"v":1,"msg":"dGVtcA==","org":"SG_OTC","modelP":"Phone 1"}"#,
                packet(Role::Peripheral),
            ),
            (
                r#"{"v":1,"msg":"dGVtcA==","org":"SG_OTC","modelC":"Phone 1","rssi":-60,"txPower":7}"#,
                central(Some(7)),
            ),
            (
                r#"{"v":1,"msg":"dGVtcA==","org":"SG_OTC","modelC":"Phone 1","rssi":-60,"more":{}}"#,
                central(None),
            ),
        ] {
            assert_eq!(Packet::from_json(json.as_bytes()).as_ref(), Ok(&expected), "{json}");
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let of = |json: &str| Packet::from_json(json.as_bytes()).unwrap_err();
        let good = r#"{"v":2,"id":"x","o":"A","mc":"m","rs":-60}"#;
        assert!(Packet::from_json(good.as_bytes()).is_ok());
        assert_eq!(of(&good.replace("2", "3")), PacketError::Version { got: 3 });
        for json in [
            good.replace(",\"rs\":-60", ""),
            good.replace("mc", "mp"),
            good.replace("mc", "mp").replace("rs", "rc"),
            good.replace('}', ",\"rc\":-60}"),
            good.replace('}', ",\"rc\":-60}").replace("mc", "md"),
        ] {
            assert_eq!(of(&json), PacketError::Rssi { member: "one of rs and rc" }, "{json}");
        }
        assert_eq!(of(&good.replace("\"mc\":\"m\",", "")), model("mp, mc and md", 0));
        assert_eq!(of(&good.replace("mc", "mp\":\"a\",\"md")), model("mp, mc and md", 2));
        assert!(matches!(of(&good.replace("\"A\"", "\"a\"")), PacketError::Hai(_)));
        for json in
            ["", "[]", "null", "{}", &good.replace("-60", "\"x\""), &good.replace("\"x\"", "1")]
        {
            assert!(matches!(of(json), PacketError::Json(_)), "{json}");
        }
        assert!(matches!(of(r#"{"v":1,"id":"x","o":"A","mp":"m"}"#), PacketError::Json(_)));
        let not_utf8 = b"{\"v\":2,\"id\":\"x\",\"o\":\"A\",\"mp\":\"m\",\"more\":\"\xff\"}";
        assert!(matches!(Packet::from_json(not_utf8), Err(PacketError::Json(_))));
        let long = good.replace('x', &"x".repeat(500));
        assert_eq!(of(&long), PacketError::TooLong { max: 512, got: long.len() });
        let long = Packet { model: "x".repeat(512), ..packet(Role::Peripheral) };
        assert!(matches!(long.to_json(), Err(PacketError::TooLong { .. })));
    }

    #[test]
    fn debug_shows_nothing_that_tells_a_phone_from_others() {
        let central = packet(Role::Central { rssi: -60, tx_power: None });
        let text = "Packet(SG_OTC, Central { rssi: -60, tx_power: None })";
        assert_eq!(format!("{central:?}"), text);
    }

    #[test]
    fn a_signal_strength_that_is_none_is_refused() {
        let read = |rssi: &str| {
            let json = format!(r#"{{"v":2,"id":"x","o":"A","mc":"m","rs":{rssi}}}"#);
            Packet::from_json(json.as_bytes()).map(|packet| match packet.role {
                Role::Central { rssi, .. } => rssi,
                Role::Peripheral => 0,
            })
        };
        for (text, rssi) in [("127.49", 127), ("-128.49", -128), ("-0.5", -1), ("0.4", 0)] {
            assert_eq!(read(text), Ok(rssi), "{text}");
        }
        for text in ["127.5", "-128.5", "1e300", "-1e300", "2147483648"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("`rs` is of another type or has a value that"), "{error}");
        }
    }

    fn model(expected: &'static str, got: usize) -> PacketError {
        PacketError::Model { expected, got }
    }

    proptest! {
        #[test]
        fn packets_round_trip(id in "\\PC{0,30}", org in "[A-Z0-9_]{1,32}", model in "\\PC{0,20}", rssi: Option<i8>) {
            let role = rssi.map_or(Role::Peripheral, |rssi| Role::Central { rssi, tx_power: None });
            let packet = Packet { id, org: org.parse().unwrap(), model, role };
            prop_assert_eq!(Packet::from_json(&packet.to_json().unwrap()), Ok(packet));
        }
    }
}
