//! URLs of other health authorities.

use std::net::IpAddr;

use reqwest::Url;

use crate::domain::problem::Problem;

/// Most characters of an authority's URL.
const MOST_URL: usize = 200;

/// Makes sure that messages can be sent below a URL without being read on the way.
///
/// # Errors
/// [`Problem::AuthorityInvalid`].
pub fn expect_url(url: &str) -> Result<&str, Problem> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>".contains(&byte);
    match is_safe(url) && url.len() <= MOST_URL && url.bytes().all(is_plain) && !url.ends_with('/')
    {
        true => Ok(url),
        false => Err(Problem::AuthorityInvalid {
            what: "its URL is https://HOST or https://HOST/PATH, of at most 200 characters, without a slash at the \
                   end, a query or a password (http:// is possible for this machine alone)",
        }),
    }
}

/// Whether a URL is https, or of this machine.
fn is_safe(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    // A parser takes `https:///host` too.
    let has_host = |scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.starts_with('/'));
    let is_here = |host: &str| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    has_host("https://") || (has_host("http://") && url.host_str().is_some_and(is_here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_that_nobody_on_the_way_can_read() {
        for good in [
            "https://bt.example",
            "https://bt.example:8443/a/b",
            "https://bt.example:443",
            "https://[2001:db8::1]:8443/a",
            "http://127.0.0.1:8080",
            "http://127.8.9.1",
            "http://[::1]:8080",
            "http://localhost",
        ] {
            assert_eq!(expect_url(good).unwrap(), good);
        }
        for bad in [
            "",
            "https://",
            "https:///path",
            "http://bt.example",
            "http://127.0.0.1/",
            "https://me:secret@bt.example",
            "https://bt.example?x=1",
            "https://bt.example/#x",
            "https://bt.example/ x",
            "http://127.evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://[2001:db8::1]",
            "https://host:abc",
            "https://host:99999",
            "https://[",
            "https://[::1",
            "ftp://bt.example",
            "bt.example",
            &format!("https://{}", "a".repeat(200)),
        ] {
            let refused = expect_url(bad);
            assert!(matches!(refused, Err(Problem::AuthorityInvalid { .. })), "{bad}");
        }
    }
}
