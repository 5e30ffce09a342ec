//! What this machine, or this user, cannot test.

use std::io::Write as _;

/// Says aloud what is not tested. If the variable `switch` is set, it has to be.
pub fn not_tested(switch: &str, what: &str) {
    assert!(
        std::env::var_os(switch).is_none(),
        "{switch} is set, and this cannot be tested: {what}"
    );
    // Not captured, as what the macros print of a test that passes.
    let _heard = writeln!(std::io::stderr(), "NOT TESTED: {what}");
}
