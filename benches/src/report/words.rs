//! Sentences and numbers. Whoever is better is named first, in the same words and in bold.

/// Ratios below this are no difference: clocks are not better than that.
const SAME: f64 = 1.05;

/// Who is how much faster, by the times of the same work.
pub(super) fn faster(one: (&str, f64), other: (&str, f64)) -> String {
    let ((quick, quick_time), (slow, slow_time)) =
        if one.1 <= other.1 { (one, other) } else { (other, one) };
    let ratio = slow_time / quick_time;
    if ratio < SAME {
        return format!("**{} and {} are equally fast**, within 5 %", one.0, other.0);
    }
    format!("**{quick} is {} times as fast as {slow}**", times(ratio))
}

/// Who takes how much less, by amounts of the same thing (memory, bytes).
pub(super) fn smaller(one: (&str, f64), other: (&str, f64)) -> String {
    let ((small, least), (large, most)) =
        if one.1 <= other.1 { (one, other) } else { (other, one) };
    if most <= least * 1.002 {
        return format!("**{} and {} take the same**, within 0.2 %", one.0, other.0);
    }
    if most >= 2.0 * least {
        return format!("**{large} takes {} times as much as {small}**", times(most / least));
    }
    format!("**{small} takes {:.1} % less than {large}**", 100.0 * (1.0 - least / most))
}

/// Who takes how many bits less an element.
pub(super) fn fewer_bits(one: (&str, f64), other: (&str, f64)) -> String {
    let ((small, least), (large, most)) =
        if one.1 <= other.1 { (one, other) } else { (other, one) };
    if most - least < 0.005 {
        return format!("**{} and {} take the same**", one.0, other.0);
    }
    format!("**{small} takes {:.2} bits less than {large}**", most - least)
}

/// A ratio: two digits that count, and all digits of large ones.
pub(super) fn times(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1}") } else { thousands(ratio.round() as u64) }
}

/// A number with commas between thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A measured number: three digits that count.
pub(super) fn measured(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value.abs() >= 999.5 {
        return thousands(value.round() as u64);
    }
    let digits = match value.abs() {
        large if large >= 99.95 => 0,
        middle if middle >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// A number of elements: `100k`, `1M`.
pub(super) fn count(len: usize) -> String {
    match len {
        millions if len >= 1_000_000 && len.is_multiple_of(1_000_000) => {
            format!("{}M", millions / 1_000_000)
        }
        thousands if len >= 1_000 && len.is_multiple_of(1_000) => format!("{}k", thousands / 1_000),
        _ => thousands(len as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faster_is_named_first_whoever_it_is() {
        let fuse = "BinaryFuse16 is 1.4 times as fast as ours";
        assert_eq!(faster(("ours", 14.0), ("BinaryFuse16", 10.0)), format!("**{fuse}**"));
        assert_eq!(faster(("BinaryFuse16", 10.0), ("ours", 14.0)), format!("**{fuse}**"));
        let ours = "ours is 52 times as fast as bip158";
        assert_eq!(faster(("ours", 2.0), ("bip158", 104.0)), format!("**{ours}**"));
        let same = faster(("ours", 100.0), ("sux", 103.0));
        assert_eq!(same, "**ours and sux are equally fast**, within 5 %");
        assert_eq!(faster(("sux", 103.0), ("ours", 100.0)).len(), same.len());
    }

    #[test]
    fn the_smaller_is_named_first_whoever_it_is() {
        let ribbon = "**ribbon takes 5.0 % less than ours**";
        assert_eq!(smaller(("ours", 100.0), ("ribbon", 95.0)), ribbon);
        assert_eq!(smaller(("ribbon", 95.0), ("ours", 100.0)), ribbon);
        assert_eq!(
            smaller(("ours", 1.0), ("Vec", 3.05)),
            "**Vec takes 3.0 times as much as ours**".replace("3.0", &times(3.05))
        );
        assert_eq!(smaller(("a", 1.0), ("b", 1.001)), "**a and b take the same**, within 0.2 %");
        assert_eq!(fewer_bits(("a", 1.5), ("b", 0.4)), "**b takes 1.10 bits less than a**");
        assert_eq!(fewer_bits(("a", 0.4), ("b", 0.404)), "**a and b take the same**");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.44, 9.96, 652.4, 12_345.0].map(times), ["1.4", "10", "652", "12,345"]);
        let texts = [0.123, 9.996, 21.05, 99.96, 999.6, 1_234_567.0, f64::NAN].map(measured);
        assert_eq!(texts, ["0.12", "10.0", "21.1", "100", "1,000", "1,234,567", "–"]);
        let counts = [999, 2_000, 100_000, 1_000_000, 1_234_567].map(count);
        assert_eq!(counts, ["999", "2k", "100k", "1M", "1,234,567"]);
    }
}
