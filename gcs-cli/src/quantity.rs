//! Sizes and rates as people write them, and numbers as people read them.

/// A false-positive rate, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    /// One in so many.
    OneIn(u64),
    /// A number between 0 and 1.
    Decimal(f64),
}

impl Rate {
    /// The rate as a number.
    pub(crate) fn get(self) -> f64 {
        match self {
            Rate::OneIn(many) => 1.0 / many as f64,
            Rate::Decimal(rate) => rate,
        }
    }
}

/// Reads a rate such as `1e-6`, `0.000001` or `1/1000000`.
pub(crate) fn parse_rate(text: &str) -> Result<Rate, String> {
    let expected = "expected a rate between 0 and 1, such as 1e-6 or 1/1000000";
    let rate = match text.split_once('/') {
        Some(("1", many)) => many.parse().map(Rate::OneIn).map_err(|_| expected)?,
        Some(_) => return Err(expected.to_owned()),
        None => Rate::Decimal(text.parse().map_err(|_| expected)?),
    };
    if rate.get() > 0.0 && rate.get() < 1.0 { Ok(rate) } else { Err(expected.to_owned()) }
}

const UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("KB", 1000),
    ("B", 1),
];

/// Reads a size such as `1.2GB`, `512 MiB` or `4096` (bytes).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let expected = "expected a size such as 1.2GB, 512MiB or 4096 (bytes)";
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit.trim_start() {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or(expected)?.1,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(|| expected.to_owned());
    }
    let number: f64 = number.parse().map_err(|_| expected)?;
    let bytes = number * unit as f64;
    if bytes < 2f64.powi(63) { Ok(bytes as u64) } else { Err(expected.to_owned()) }
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things, with the word in singular or plural.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// A size in bytes, as people read it.
pub(crate) fn bytes(size: u64) -> String {
    match size {
        0..10_000 => format!("{} bytes", grouped(size)),
        10_000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size as f64 / 1e6),
        _ => format!("{:.2} GB", size as f64 / 1e9),
    }
}

/// A rate as "one in so many".
pub(crate) fn one_in(rate: f64) -> String {
    if rate > 0.0 {
        format!("one in {}", grouped((1.0 / rate).round() as u64))
    } else {
        "none".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [
            ("0", 0),
            ("4096", 4096),
            ("1.2GB", 1_200_000_000),
            ("1GiB", 1 << 30),
            ("512 MiB", 512 << 20),
            ("1.5kB", 1500),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for bad in ["", "GB", "1.2.3GB", "-1", "1XB", "99999999999GB", "1e9", ".", "1 G B"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(parse_rate("1e-6"), Ok(Rate::Decimal(1e-6)));
        assert_eq!(parse_rate("1/1000000"), Ok(Rate::OneIn(1_000_000)));
        for bad in ["", "0", "1", "1/1", "1/0", "2", "-1e-6", "NaN", "inf", "2/3", "1/x", "1/-3"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "element"), "1 element");
        assert_eq!(counted(2000, "element"), "2,000 elements");
        assert_eq!(bytes(80), "80 bytes");
        assert_eq!(bytes(27_500_000), "27.5 MB");
        assert_eq!(one_in(1e-6), "one in 1,000,000");
        assert_eq!(one_in(0.0), "none");
    }
}
