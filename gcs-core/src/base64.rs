//! Base64 of RFC 4648, section 4, strictly.

use alloc::vec::Vec;

use data_encoding::BASE64;

/// The bytes of a text that is padded with `=` at its end only, has no unused bit set and no white
/// space. (The library alone also reads several padded texts in a row.)
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let is_one = !text.trim_end_matches('=').contains('=');
    BASE64.decode(text.as_bytes()).ok().filter(|_| is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_has_one_spelling() {
        assert_eq!(decode("AAECAw=="), Some(alloc::vec![0, 1, 2, 3]));
        assert_eq!(decode(""), Some(Vec::new()));
        for text in ["AAECAw", "AAECAw=", "AAECAx==", "AAECAw==\n", "AA==AQID", "AAEC Aw==", "_A=="]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
