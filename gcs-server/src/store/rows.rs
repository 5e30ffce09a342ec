//! A batch as one row of a database.
//!
//! The columns `headers` and `bodies` have a chunk for each event: the length as big-endian u32,
//! then the bytes. The chunk of a body is a byte 1, the salt and the content. An erased chunk is
//! zeros of the same length.

use std::ops::Range;

use super::{Batch, MAX_HEADER, StoreError, StoredBody, StoredEvent};

/// What is wrong with a log in which a batch is missing.
pub(super) const NO_BATCH: &str = "no batch has it";

const NO_CHUNKS: &str = "its headers are no chunks";
const NO_BODIES: &str = "its bodies are no chunks";

/// The first byte of a body that has not been erased.
const PRESENT: u8 = 1;

/// The columns `headers` and `bodies`.
pub(super) fn encode(events: &[StoredEvent]) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let (mut headers, mut bodies) = (Vec::new(), Vec::new());
    for event in events {
        put(&mut headers, &[&event.header])?;
        match &event.body {
            Some(body) => put(&mut bodies, &[&[PRESENT], &body.salt, &body.bytes])?,
            None => put(&mut bodies, &[])?,
        }
    }
    Ok((headers, bodies))
}

/// Appends a chunk.
fn put(blob: &mut Vec<u8>, parts: &[&[u8]]) -> Result<(), StoreError> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let too_long = |_| StoreError::Invalid("a body is longer than 4 GiB");
    blob.extend(u32::try_from(length).map_err(too_long)?.to_be_bytes());
    blob.reserve(length);
    parts.iter().for_each(|part| blob.extend_from_slice(part));
    Ok(())
}

/// Where the chunks are, without their lengths; `None` if the last one is not complete.
fn chunks(blob: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut chunks = Vec::new();
    let mut rest = blob;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest = tail.get(length..)?;
        let end = blob.len() - rest.len();
        chunks.push(end - length..end);
    }
    Some(chunks)
}

/// A batch as a database has it.
#[derive(Clone, Copy)]
pub(super) struct BatchRow<'a> {
    /// Position of the first event.
    pub(super) first: i64,
    /// Position of the last event.
    pub(super) last: i64,
    /// The batch's id.
    pub(super) id: &'a [u8],
    /// A chunk for each header.
    pub(super) headers: &'a [u8],
    /// A chunk for each body.
    pub(super) bodies: &'a [u8],
}

impl BatchRow<'_> {
    /// The batch, if this is one.
    pub(super) fn decode(&self) -> Result<Batch, StoreError> {
        let BatchRow { first, last, id, headers, bodies } = *self;
        let first = first.unsigned_abs();
        let corrupt = |what| StoreError::Corrupt { position: first, what };
        let id = id.try_into().map_err(|_| corrupt("its id is not 16 bytes"))?;
        let header_chunks = chunks(headers).ok_or_else(|| corrupt(NO_CHUNKS))?;
        let body_chunks = chunks(bodies).ok_or_else(|| corrupt(NO_BODIES))?;
        if header_chunks.len() != body_chunks.len() {
            return Err(corrupt("headers and bodies are not as many"));
        }
        let both = (first..).zip(header_chunks.into_iter().zip(body_chunks));
        let event = |(position, (header, body))| {
            decode_event(&headers[header], &bodies[body])
                .map_err(|what| StoreError::Corrupt { position, what })
        };
        let events = both.map(event).collect::<Result<_, _>>()?;
        let batch = Batch { first, id, events };
        let spans = !batch.events.is_empty() && i64::try_from(batch.last()) == Ok(last);
        if spans { Ok(batch) } else { Err(corrupt("its events do not fill its positions")) }
    }
}

/// The headers of a batch from position `from` on.
pub(super) fn headers_from(
    first: i64,
    headers: &[u8],
    from: u64,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let first = first.unsigned_abs();
    if first > from {
        return Err(StoreError::Corrupt { position: from, what: NO_BATCH });
    }
    let chunks = chunks(headers).ok_or(StoreError::Corrupt { position: first, what: NO_CHUNKS })?;
    let behind = usize::try_from(from - first).unwrap_or(usize::MAX);
    Ok(chunks.into_iter().skip(behind).map(|chunk| headers[chunk].to_vec()).collect())
}

/// Erases bodies of a batch, in place: those of the events at ascending positions.
pub(super) fn erase(first: u64, bodies: &mut [u8], events: &[u64]) -> Result<(), StoreError> {
    let chunks = chunks(bodies).ok_or(StoreError::Corrupt { position: first, what: NO_BODIES })?;
    for event in events {
        let what = "its body is missing";
        let corrupt = StoreError::Corrupt { position: *event, what };
        let chunk = chunks.get((event - first) as usize).ok_or(corrupt)?;
        bodies[chunk.clone()].fill(0);
    }
    Ok(())
}

fn decode_event(header: &[u8], body: &[u8]) -> Result<StoredEvent, &'static str> {
    if !(1..=MAX_HEADER).contains(&header.len()) {
        return Err("its header is empty or too long");
    }
    let body = if body.iter().all(|byte| *byte == 0) { None } else { Some(decode_body(body)?) };
    Ok(StoredEvent { header: header.to_vec(), body })
}

fn decode_body(chunk: &[u8]) -> Result<StoredBody, &'static str> {
    let Some((&PRESENT, rest)) = chunk.split_first() else {
        return Err("its body is neither present nor erased");
    };
    let (salt, bytes) = rest.split_first_chunk().ok_or("its body has no salt")?;
    Ok(StoredBody { salt: *salt, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Mostly lengths that fit.
    fn any_byte() -> impl Strategy<Value = u8> {
        prop_oneof![4 => Just(0), 1 => 0u8..9, 1 => any::<u8>()]
    }

    proptest! {
        /// Whatever the bytes, chunks cover them all and read the same when written again.
        #[test]
        fn any_bytes_are_chunks_or_not(blob in prop::collection::vec(any_byte(), 0..99)) {
            if let Some(chunks) = chunks(&blob) {
                let mut again = Vec::new();
                for chunk in chunks {
                    let _ = decode_event(b"header", &blob[chunk.clone()]);
                    put(&mut again, &[&blob[chunk]]).unwrap();
                }
                prop_assert_eq!(again, blob);
            }
        }
    }
}
