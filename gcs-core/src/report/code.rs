//! One-time codes: what a healthcare provider hands to a patient to authorise a report.
//!
//! A code authenticates itself, so no secret is stored for each, and providers can print
//! codes offline. It is 16 symbols of Crockford's base 32, shown in fours:
//!
//! ```text
//! symbols 1–3   provider, 15 bits
//! symbols 4–7   serial number within the provider, 20 bits
//! symbols 8–15  MAC, 40 bits: the first of HMAC-SHA256(provider key,
//!               "gcs one-time code v1" ‖ provider as u16 ‖ serial as u32, big-endian)
//! symbol  16    check symbol: c = Σ a^i·x_i over GF(32), i = 1 … 15, where a = x and
//!               x^5 + x^2 + 1 = 0
//! ```
//!
//! The 31 powers of a are all different, so the check symbol catches every single wrong symbol
//! and every transposition of two different ones, before anything is sent. It protects against
//! typing mistakes only. Forged codes are stopped by the MAC, and by the server, which accepts
//! only serial numbers of ranges that are open.
//!
//! The provider key is HKDF-SHA256 (RFC 5869) of the master key, without salt, with info
//! "gcs provider key v1" ‖ provider as u16 ‖ generation as u32, big-endian.
//!
//! ```
//! use gcs_core::report::{Code, ProviderKey};
//!
//! let key = ProviderKey::derive(&[7; 32], 42, 1);
//! let code = Code::issue(&key, 42, 1001).unwrap();
//! let typed = code.to_string().to_lowercase().replace('-', " ");
//! let read: Code = typed.parse()?;
//! assert!(read.is_authentic(&key));
//! assert_eq!((read.provider(), read.serial()), (42, 1001));
//! # Ok::<(), gcs_core::report::CodeError>(())
//! ```

use core::fmt;
use core::str::FromStr;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Number of symbols of a code, its check symbol included.
const SYMBOLS: usize = 16;

/// Most bytes of a text that is read as a code.
const MAX_TYPED: usize = 1024;

/// Largest provider number: 15 bits.
pub const MAX_PROVIDER: u16 = (1 << 15) - 1;

/// Largest serial number: 20 bits.
pub const MAX_SERIAL: u32 = (1 << 20) - 1;

const MAC_BITS: u32 = 40;
const SERIAL_BITS: u32 = 20;

/// Why a text is not a one-time code. An app finds out without sending anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The text is far longer than any code.
    #[error("a code is typed in at most {max} bytes, got {got}")]
    TooLong {
        /// The limit.
        max: usize,
        /// Its length.
        got: usize,
    },
    /// Too few or too many symbols.
    #[error("a code has 16 symbols, got {got}")]
    Length {
        /// How many there are, separators not counted.
        got: usize,
    },
    /// A symbol that cannot be in a code.
    #[error("{symbol:?} is not a symbol of a code (position {position})")]
    Symbol {
        /// Its position, from 1, separators not counted.
        position: usize,
        /// The symbol.
        symbol: char,
    },
    /// The check symbol is not the right one, so there is a typing mistake.
    #[error("the code has a typing mistake")]
    Check,
}

/// The key that authenticates one provider's codes.
#[derive(Clone)]
pub struct ProviderKey([u8; 32]);

impl ProviderKey {
    /// The key of a provider and generation. Raising the generation revokes every code
    /// printed under the one before.
    pub fn derive(master: &[u8; 32], provider: u16, generation: u32) -> ProviderKey {
        let mut key = [0; 32];
        let info: [&[u8]; 3] =
            [b"gcs provider key v1", &provider.to_be_bytes(), &generation.to_be_bytes()];
        match Hkdf::<Sha256>::new(None, master).expand_multi_info(&info, &mut key) {
            Ok(()) => ProviderKey(key),
            Err(_) => unreachable!("HKDF-SHA256 gives up to 8160 bytes"),
        }
    }

    /// A key that was exported for printing offline.
    pub fn from_bytes(key: [u8; 32]) -> ProviderKey {
        ProviderKey(key)
    }

    /// The bytes of the key. They must be kept secret: whoever has them can make codes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    fn mac(&self, provider: u16, serial: u32) -> u64 {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(b"gcs one-time code v1");
        mac.update(&provider.to_be_bytes());
        mac.update(&serial.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        digest[..5].iter().fold(0, |mac, byte| (mac << 8) | u64::from(*byte))
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderKey(..)")
    }
}

/// A one-time code whose check symbol is right. Only the key of its provider shows whether it
/// is authentic.
///
/// `Display` shows the secret; `Debug` shows provider and serial only.
///
/// A code is read from what people type and what programs paste, by properties of Unicode:
///
/// 1. A text of more than 1024 bytes in UTF-8 is no code.
/// 2. Compatibility decomposition (NFKD): full-width, circled and styled symbols become plain
///    ones, and accents become marks of their own.
/// 3. These are dropped: characters with the property White_Space, and those of the general
///    categories Cf (invisible: zero-width spaces, byte order marks, soft hyphens, directions),
///    M (marks), Pd (dashes) and Pc (underscores), the full stop, and U+2212 MINUS SIGN. That one
///    is Sm, a symbol, but keyboards and word processors write it as a dash.
/// 4. ASCII letters count in upper case, O as 0, I and L as 1. What is left must be the 16
///    symbols.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    provider: u16,
    serial: u32,
    mac: u64,
}

impl Code {
    /// The code of a provider and serial number; `None` if one of them is too large.
    pub fn issue(key: &ProviderKey, provider: u16, serial: u32) -> Option<Code> {
        let fits = provider <= MAX_PROVIDER && serial <= MAX_SERIAL;
        fits.then(|| Code { provider, serial, mac: key.mac(provider, serial) })
    }

    /// The provider's number.
    pub fn provider(&self) -> u16 {
        self.provider
    }

    /// The serial number within the provider.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether this code was made with the key. Takes the same time for every code.
    pub fn is_authentic(&self, key: &ProviderKey) -> bool {
        key.mac(self.provider, self.serial).ct_eq(&self.mac).into()
    }

    fn symbols(&self) -> [u8; SYMBOLS] {
        let high = u128::from(self.provider) << (SERIAL_BITS + MAC_BITS);
        let bits = high | u128::from(self.serial) << MAC_BITS | u128::from(self.mac);
        let mut symbols = [0; SYMBOLS];
        for (at, symbol) in symbols[..SYMBOLS - 1].iter_mut().enumerate() {
            *symbol = (bits >> (5 * (SYMBOLS - 2 - at)) & 31) as u8;
        }
        symbols[SYMBOLS - 1] = check_symbol(&symbols[..SYMBOLS - 1]);
        symbols
    }

    fn from_symbols(symbols: &[u8; SYMBOLS]) -> Result<Code, CodeError> {
        let (data, last) = symbols.split_at(SYMBOLS - 1);
        if check_symbol(data) != last[0] {
            return Err(CodeError::Check);
        }
        let bits = data.iter().fold(0u128, |bits, symbol| bits << 5 | u128::from(*symbol));
        Ok(Code {
            provider: (bits >> (SERIAL_BITS + MAC_BITS)) as u16,
            serial: (bits >> MAC_BITS) as u32 & MAX_SERIAL,
            mac: bits as u64 & ((1 << MAC_BITS) - 1),
        })
    }
}

/// The check symbol: Σ a^i·x_i over GF(32), i from 1, by Horner's rule from the last symbol.
fn check_symbol(symbols: &[u8]) -> u8 {
    symbols.iter().rev().fold(0, |sum, symbol| times_a(sum ^ symbol))
}

/// Multiplies by a, where a^5 = a^2 + 1.
fn times_a(value: u8) -> u8 {
    let shifted = value << 1;
    if shifted & 32 == 0 { shifted } else { (shifted ^ 0b10_0101) & 31 }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, symbol) in self.symbols().into_iter().enumerate() {
            let separator = if at > 0 && at % 4 == 0 { "-" } else { "" };
            write!(f, "{separator}{}", char::from(ALPHABET[usize::from(symbol)]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code")
            .field("provider", &self.provider)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

impl FromStr for Code {
    type Err = CodeError;

    /// Reads what people type: case, separators, invisible characters, widths and look-alikes do
    /// not matter.
    fn from_str(text: &str) -> Result<Code, CodeError> {
        if text.len() > MAX_TYPED {
            return Err(CodeError::TooLong { max: MAX_TYPED, got: text.len() });
        }
        let typed = text.nfkd().filter(|symbol| !is_separator(*symbol));
        let mut symbols = [0; SYMBOLS];
        let mut got = 0;
        for (at, symbol) in typed.enumerate() {
            let position = at + 1;
            let value = value_of(symbol).ok_or(CodeError::Symbol { position, symbol })?;
            if let Some(place) = symbols.get_mut(at) {
                *place = value;
            }
            got = position;
        }
        if got != SYMBOLS {
            return Err(CodeError::Length { got });
        }
        Code::from_symbols(&symbols)
    }
}

fn is_separator(symbol: char) -> bool {
    let category = symbol.general_category();
    symbol.is_whitespace()
        || symbol.general_category_group() == GeneralCategoryGroup::Mark
        || matches!(
            category,
            GeneralCategory::Format
                | GeneralCategory::DashPunctuation
                | GeneralCategory::ConnectorPunctuation
        )
        || matches!(symbol, '.' | '\u{2212}')
}

fn value_of(symbol: char) -> Option<u8> {
    let symbol = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let symbol = u8::try_from(symbol).ok()?;
    ALPHABET.iter().position(|known| *known == symbol).map(|at| at as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    fn any_code() -> impl Strategy<Value = (ProviderKey, Code)> {
        (any::<[u8; 32]>(), 0..=MAX_PROVIDER, 0..=MAX_SERIAL).prop_map(
            |(master, provider, serial)| {
                let key = ProviderKey::derive(&master, provider, 1);
                (key.clone(), Code::issue(&key, provider, serial).unwrap())
            },
        )
    }

    /// The published vectors: a second implementation must print the same codes.
    #[test]
    fn codes_are_the_published_vectors() {
        let file = include_str!("../../tests/vectors/foreign/codes.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert!(vectors.len() >= 6);
        for vector in vectors {
            let master = [vector["master_byte"].as_u64().unwrap() as u8; 32];
            let provider = vector["provider"].as_u64().unwrap() as u16;
            let generation = vector["generation"].as_u64().unwrap() as u32;
            let serial = vector["serial"].as_u64().unwrap() as u32;
            let key = ProviderKey::derive(&master, provider, generation);
            let hex: String = key.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, vector["provider_key"].as_str().unwrap());
            let code = Code::issue(&key, provider, serial).unwrap();
            assert_eq!(code.to_string(), vector["code"].as_str().unwrap());
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_however_it_is_typed((key, code) in any_code()) {
            let printed = code.to_string();
            prop_assert_eq!(printed.len(), 19);
            let typed = printed.to_lowercase().replace('-', " . ").replace('0', "o").replace('1', "l");
            for text in [&printed, &typed, &printed.replace('-', ""), &printed.replace('1', "I")] {
                prop_assert_eq!(text.parse::<Code>(), Ok(code));
            }
            prop_assert!(code.is_authentic(&key));
            prop_assert!(!code.is_authentic(&ProviderKey::derive(&[0; 32], code.provider(), 2)));
            let shown = format!("{code:?} {key:?}");
            prop_assert!(!shown.contains(&printed[10..]));
        }

        #[test]
        fn every_wrong_symbol_and_every_transposition_is_caught((_, code) in any_code()) {
            let symbols = code.symbols();
            for at in 0..SYMBOLS {
                for other in 0..32 {
                    let mut wrong = symbols;
                    wrong[at] = other;
                    prop_assert_eq!(Code::from_symbols(&wrong).is_ok(), other == symbols[at]);
                }
                for with in 0..at {
                    let mut swapped = symbols;
                    swapped.swap(at, with);
                    let same = symbols[at] == symbols[with];
                    prop_assert_eq!(Code::from_symbols(&swapped).is_ok(), same);
                }
            }
        }

        #[test]
        fn any_text_is_a_code_or_says_why_not(text in "\\PC{0,40}") {
            if let Ok(code) = text.parse::<Code>() {
                prop_assert_eq!(code.to_string().parse::<Code>(), Ok(code));
            }
        }
    }

    /// What keyboards, word processors, PDF readers and messengers make of a code.
    #[test]
    fn a_code_is_read_from_every_way_of_writing_it() {
        let key = ProviderKey::derive(&[7; 32], 42, 1);
        let code = Code::issue(&key, 42, 1001).unwrap();
        let printed = code.to_string();
        let wide = |symbol: char| match symbol {
            '!'..='~' => char::from_u32(u32::from(symbol) + 0xfee0).unwrap(),
            other => other,
        };
        let ways: [(&str, String); 9] = [
            ("full width", printed.chars().map(wide).collect()),
            ("a byte order mark", format!("\u{feff}{printed}")),
            ("directions", format!("\u{202a}{printed}\u{202c}\u{200e}\u{200f}\u{2066}\u{2069}")),
            (
                "keycaps",
                printed.chars().flat_map(|symbol| [symbol, '\u{fe0f}', '\u{20e3}']).collect(),
            ),
            ("accents", printed.replace('E', "É").replace('A', "A\u{301}")),
            ("circled and mathematical", printed.replace('1', "①").replace('A', "𝐀")),
            ("lines", printed.replace('-', "\r\n\t\u{2028}\u{85}")),
            ("underscores", printed.replace('-', "_\u{ff3f}")),
            ("full stops", printed.replace('-', ".\u{ff0e}")),
        ];
        for (way, text) in &ways {
            assert_eq!(text.parse::<Code>(), Ok(code), "{way}: {text:?}");
        }
        let separators = "\u{20}\u{a0}\u{ad}\u{34f}\u{58a}\u{61c}\u{1680}\u{180e}\u{2002}\u{2007}\u{2009}\
            \u{200a}\u{200b}\u{200c}\u{200d}\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{202f}\u{205f}\
            \u{2060}\u{2212}\u{207b}\u{2e3a}\u{3000}\u{301c}\u{fe58}\u{fe63}\u{feff}\u{ff0d}";
        for separator in separators.chars() {
            let text = printed.replace('-', &separator.to_string());
            assert_eq!(text.parse::<Code>(), Ok(code), "{separator:?}");
        }
        // Not everything is dropped: a wrong symbol is named.
        for wrong in ['+', '/', '$', '\0', '\u{1b}', 'О'] {
            let error = format!("{printed}{wrong}").parse::<Code>().unwrap_err();
            assert_eq!(error, CodeError::Symbol { position: 17, symbol: wrong });
        }
    }

    #[test]
    fn a_text_is_bounded_before_it_is_folded() {
        let text = |length: usize| " ".repeat(length - 16) + &"0".repeat(16);
        assert_eq!(text(1024).parse::<Code>().unwrap().serial(), 0);
        let error = text(1025).parse::<Code>();
        assert_eq!(error, Err(CodeError::TooLong { max: 1024, got: 1025 }));
    }

    #[test]
    fn mistakes_are_told_apart() {
        let key = ProviderKey::derive(&[1; 32], 1, 1);
        let code = Code::issue(&key, 1, 2).unwrap().to_string();
        assert_eq!(code[1..].parse::<Code>(), Err(CodeError::Length { got: 15 }));
        assert_eq!("".parse::<Code>(), Err(CodeError::Length { got: 0 }));
        assert_eq!((code.clone() + "0").parse::<Code>(), Err(CodeError::Length { got: 17 }));
        let wrong = code.replacen(&code[5..6], "U", 1);
        let error = wrong.parse::<Code>().unwrap_err();
        assert!(matches!(error, CodeError::Symbol { symbol: 'U', .. }));
        assert!(Code::issue(&key, MAX_PROVIDER + 1, 0).is_none());
        assert!(Code::issue(&key, 0, MAX_SERIAL + 1).is_none());
    }
}
