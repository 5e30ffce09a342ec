//! SQLite's write-ahead log.

/// A write-ahead log without what is left behind its last transaction.
pub fn transactions(wal: &[u8]) -> &[u8] {
    let ends = |frame: &[u8]| frame[4..8] != [0; 4] && frame[8..16] == wal[16..24];
    let frames = wal[32..].chunks_exact(24 + 4096).collect::<Vec<_>>();
    let last = frames.iter().rposition(|frame| ends(frame)).unwrap();
    &wal[..32 + (last + 1) * (24 + 4096)]
}
