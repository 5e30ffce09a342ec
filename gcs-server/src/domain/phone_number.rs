//! Phone numbers.

use std::fmt;
use std::str::FromStr;

use crate::domain::problem::Problem;

/// A phone number as ITU-T E.164 has it: a plus and 7 to 15 digits, of which the first is not 0.
/// Nothing else may be in its text. `Debug` hides it.
///
/// ```
/// use gcs_server::domain::phone_number::PhoneNumber;
///
/// let number: PhoneNumber = "+6591234567".parse()?;
/// assert_eq!(number.digits(), 6_591_234_567);
/// assert!("6591234567".parse::<PhoneNumber>().is_err());
/// # Ok::<(), gcs_server::domain::problem::Problem>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(u64);

impl PhoneNumber {
    /// The digits as a number.
    pub fn digits(self) -> u64 {
        self.0
    }

    /// The number of these digits, as they are in the log.
    pub fn from_digits(digits: u64) -> PhoneNumber {
        PhoneNumber(digits)
    }
}

impl FromStr for PhoneNumber {
    type Err = Problem;

    fn from_str(text: &str) -> Result<PhoneNumber, Problem> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let is_right = (7..=15).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| is_right);
        number.map(PhoneNumber).ok_or(Problem::NumberInvalid)
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for text in ["+6591234567", "+1234567", "+999999999999999"] {
            assert_eq!(text.parse::<PhoneNumber>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "+",
            "+123456",
            "+1234567890123456",
            "+0123456789",
            "6591234567",
            "++6591234567",
            "+65 91234567",
            "+65-91234567",
            "+6591234567 ",
            " +6591234567",
            "+65９1234567",
            "+-1234567",
            "+6591234567\n",
            "+0x1234567",
            "+1e10000000",
        ] {
            let error = text.parse::<PhoneNumber>();
            assert!(matches!(error, Err(Problem::NumberInvalid)), "{text:?}");
        }
        assert_eq!(format!("{:?}", PhoneNumber(1_234_567)), "PhoneNumber(..)");
    }
}
