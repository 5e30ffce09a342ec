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

/// Reads a rate such as `1e-6`, `0.000001`, `1/1000000` or `1/50M`.
pub(crate) fn parse_rate(text: &str) -> Result<Rate, String> {
    let expected = || {
        format!("expected a rate between 0 and 1, such as 1e-6, 1/1000000 or 1/50M, got {text:?}")
    };
    let rate = match text.split_once('/') {
        Some(("1", many)) => whole(many, false).map(Rate::OneIn),
        Some(_) => None,
        None => text.parse().ok().map(Rate::Decimal),
    };
    rate.filter(|rate| rate.get() > 0.0 && rate.get() < 1.0).ok_or_else(expected)
}

/// What a unit multiplies by: its letter, and its power of 1000, or of 1024 with an "i".
const UNITS: [(char, u32); 4] = [('k', 1), ('m', 2), ('g', 3), ('t', 4)];

/// What a unit such as `k`, `Mi` or, of a size, `GB` stands for. Upper and lower case are the same.
fn unit(text: &str, is_size: bool) -> Option<u64> {
    let mut text = text.to_ascii_lowercase();
    if is_size && text.ends_with('b') {
        text.pop();
    }
    let (letters, base) = match text.strip_suffix('i') {
        Some(letters) => (letters, 1024u64),
        None => (&text[..], 1000),
    };
    if text.is_empty() {
        return Some(1);
    }
    let power = UNITS.iter().find(|(letter, _)| letters.chars().eq([*letter]))?.1;
    Some(base.pow(power))
}

/// A whole number such as `200000`, `200k`, `1.5M`, `16Ki` or `1e6`. A size may end with `B`, and
/// what is behind its last whole byte is dropped.
fn whole(text: &str, is_size: bool) -> Option<u64> {
    let is_exponent = |at: usize| text[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let is_number = |(at, c): (usize, char)| {
        c.is_ascii_digit() || c == '.' || (matches!(c, 'e' | 'E') && is_exponent(at))
    };
    let split = text.char_indices().find(|&at| !is_number(at)).map_or(text.len(), |(at, _)| at);
    let (number, rest) = text.split_at(split);
    let unit = unit(rest.trim_start(), is_size)?;
    if let Ok(number) = number.parse::<u64>() {
        return number.checked_mul(unit);
    }
    let number = number.parse::<f64>().ok()? * unit as f64;
    // Above 2^53 a number with a point or an exponent may lose digits.
    let is_exact = number <= 2f64.powi(53) && (is_size || number.fract() == 0.0);
    is_exact.then_some(number as u64)
}

/// Reads a size such as `1.2GB`, `512 MiB`, `500k` or `4096` (bytes).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let expected =
        "expected a size such as 1.2GB (10^9 bytes), 512MiB (2^20 bytes), 500k or 4096 (bytes)";
    whole(text, true).ok_or_else(|| format!("{expected}, got {text:?}"))
}

/// Reads a number from 1 on, such as `200000`, `200k`, `1.5M` or `1e6`.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    let expected = "expected a whole number from 1 on, such as 200000, 200k, 1.5M, 16Ki or 1e6";
    let number = whole(text, false).filter(|&number| number > 0);
    number.ok_or_else(|| format!("{expected}, got {text:?}"))
}

/// [`parse_number`], of what fits into memory.
pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    let number = parse_number(text)?;
    usize::try_from(number).map_err(|_| format!("expected at most {}, got {text:?}", usize::MAX))
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
            ("7b", 7),
            ("200k", 200_000),
            ("500K", 500_000),
            ("500kb", 500_000),
            ("1Mi", 1 << 20),
            ("2g", 2_000_000_000),
            ("1e6", 1_000_000),
            ("1E3KiB", 1_024_000),
            ("1.5", 1),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for bad in
            ["", "GB", "1.2.3GB", "-1", "1XB", "99999999999GB", "1e", ".", "1 G B", "i", "1iB"]
        {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("1", 1),
            ("200k", 200_000),
            ("500K", 500_000),
            ("1e6", 1_000_000),
            ("1.5M", 1_500_000),
            ("16Ki", 16_384),
            ("2Gi", 2 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_number(text), Ok(number), "{text}");
        }
        for bad in
            ["", "0", "0k", "-1", "1.5", "1.2345k", "1kB", "1e30", "k", "1,000", "NaN", "inf"]
        {
            let told = parse_number(bad).unwrap_err();
            assert!(told.ends_with(&format!("200k, 1.5M, 16Ki or 1e6, got {bad:?}")), "{told}");
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(parse_rate("1e-6"), Ok(Rate::Decimal(1e-6)));
        assert_eq!(parse_rate("1/1000000"), Ok(Rate::OneIn(1_000_000)));
        assert_eq!(parse_rate("1/50M"), Ok(Rate::OneIn(50_000_000)));
        assert_eq!(parse_rate("1/1e6"), Ok(Rate::OneIn(1_000_000)));
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
