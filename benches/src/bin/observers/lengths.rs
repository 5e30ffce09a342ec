//! Attack 3: what do the lengths of requests and answers tell?
//!
//! The attacker sees the encrypted line of a phone: times and lengths, no content. It knows all
//! publications, and so the length of the request for every record.

use std::ops::Range;

use gcs_core::files::Path;

use crate::classify::{Sample, Score, best};
use crate::deployment::Deployment;
use crate::phone::Question;
use crate::population::Phone;

/// How a record is asked for, and answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) name: &'static str,
    /// Whether the numbers of the range have 12 digits.
    is_padded: bool,
    /// Whether header fields are Huffman codes.
    is_huffman: bool,
    /// Whether the answer is looked at too, with its range.
    with_answer: bool,
}

pub(crate) const WIRES: [Wire; 5] = [
    Wire { name: "numbers as they are", is_padded: false, is_huffman: false, with_answer: false },
    Wire { name: "12 digits", is_padded: true, is_huffman: false, with_answer: false },
    Wire {
        name: "12 digits, and the answer's `Content-Range`",
        is_padded: true,
        is_huffman: false,
        with_answer: true,
    },
    Wire {
        name: "12 digits, HTTP/2 with Huffman codes",
        is_padded: true,
        is_huffman: true,
        with_answer: false,
    },
    Wire {
        name: "the same, and the answer's `content-range`",
        is_padded: true,
        is_huffman: true,
        with_answer: true,
    },
];

/// Bits of a character's Huffman code in RFC 7541, appendix B: those of paths and ranges.
fn code_bits(character: u8) -> usize {
    match character {
        b'0'..=b'2' | b'a' | b'c' | b'e' | b'i' | b'o' | b's' | b't' => 5,
        b'3'..=b'9' | b' ' | b'-' | b'/' | b'=' | b'b' | b'd' | b'f'..=b'h' | b'l'..=b'n' => 6,
        b'p' | b'r' | b'u' => 6,
        b'j' | b'k' | b'q' | b'v'..=b'z' | b'*' | b':' => 7,
        _ => 8,
    }
}

impl Wire {
    fn field(&self, value: &str) -> usize {
        if self.is_huffman {
            value.bytes().map(code_bits).sum::<usize>().div_ceil(8)
        } else {
            value.len()
        }
    }

    /// Lengths of the request's and the answer's variable parts.
    fn lengths(&self, path: &str, range: &Range<u64>, total: u64) -> (usize, usize) {
        let (first, last) = (range.start, range.end - 1);
        let asked = if self.is_padded {
            format!("bytes={first:012}-{last:012}")
        } else {
            format!("bytes={first}-{last}")
        };
        let answer = format!("bytes {first}-{last}/{total}");
        let answer = if self.with_answer { self.field(&answer) } else { 0 };
        (self.field(path) + self.field(&asked), answer)
    }

    /// The lengths for every record of a publication.
    fn all(&self, deployment: &Deployment, tick: usize) -> Vec<(usize, usize)> {
        let rows = deployment.ticks[tick].table.rows().iter().filter(|row| row.len > 0);
        rows.flat_map(|row| {
            let path = Path::Checks { date: row.date, root: row.check_root }.to_string();
            let length = row.record_shape.record_len();
            let total = length * u64::from(row.records());
            (0..u64::from(row.records())).map(move |record| {
                self.lengths(&path, &(record * length..(record + 1) * length), total)
            })
        })
        .collect()
    }

    fn of(&self, deployment: &Deployment, question: &Question) -> (usize, usize) {
        let total = deployment.files.get(&question.path).map_or(0, Vec::len);
        self.lengths(&question.path, &question.range, total as u64)
    }

    /// The mean share of a publication's records that a question may still be for, once its
    /// lengths were seen.
    pub(crate) fn share_left(&self, deployment: &Deployment, phones: &[Phone]) -> f64 {
        let questions = phones.iter().flat_map(|phone| &phone.log.questions);
        let shares: Vec<f64> = questions
            .map(|question| {
                let (seen, all) =
                    (self.of(deployment, question), self.all(deployment, question.tick));
                let left = all.iter().filter(|lengths| **lengths == seen).count();
                left as f64 / all.len() as f64
            })
            .collect();
        crate::stats::mean(&shares)
    }

    /// How well the lengths tell real questions from dummies.
    pub(crate) fn score(&self, deployment: &Deployment, phones: &[Phone]) -> Option<Score> {
        let mut samples = Vec::new();
        for (number, Phone { log, .. }) in phones.iter().enumerate() {
            samples.extend(log.questions.iter().map(|question| {
                let (asked, answer) = self.of(deployment, question);
                Sample {
                    features: vec![asked as f64, answer as f64],
                    is_real: question.real,
                    weight: 1.0,
                    is_odd: !number.is_multiple_of(2),
                }
            }));
        }
        best(&samples, &["length of the request", "length of the answer"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, C.4.1 and C.6.1: lengths of Huffman codes in its examples.
    #[test]
    fn huffman_lengths_are_those_of_the_examples() {
        let huffman = Wire { name: "", is_padded: true, is_huffman: true, with_answer: false };
        for (text, length) in [
            ("www.example.com", 12),
            ("no-cache", 6),
            ("custom-key", 8),
            ("custom-value", 9),
            ("302", 2),
            ("private", 5),
            ("307", 3),
        ] {
            let dots = text.bytes().filter(|byte| *byte == b'.').count();
            let bits = text.bytes().map(code_bits).sum::<usize>() - 2 * dots;
            assert_eq!(bits.div_ceil(8), length, "{text}");
        }
        assert_eq!(huffman.field("private"), 5);
    }

    #[test]
    fn padded_requests_are_equally_long() {
        let range = |record: u64| record * 16_632..(record + 1) * 16_632;
        let padded = WIRES[1];
        let path = "/v1/checks/2026-01-05/".to_owned() + &"0".repeat(64);
        let lengths = |record| padded.lengths(&path, &range(record), 0);
        assert_eq!(lengths(0), lengths(63));
        assert_ne!(WIRES[0].lengths(&path, &range(0), 0), WIRES[0].lengths(&path, &range(63), 0));
    }
}
