//! The bytes of a write-ahead log.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

/// The magic number when checksums read numbers with the lowest byte first; one more when not.
pub(super) const MAGIC: u32 = 0x377f_0682;

pub(super) const HEADER: usize = 32;
pub(super) const FRAME_HEADER: usize = 24;

/// Bytes that are read from the disk at a time, at least.
const BUFFER: usize = 1 << 18;

pub(super) type Sum = [u32; 2];
pub(super) type Salt = [u32; 2];

/// How checksums read numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    LowFirst,
    HighFirst,
}

/// A header that verifies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) order: Order,
    pub(super) page_size: usize,
    pub(super) salt: Salt,
    pub(super) sum: Sum,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.get(..HEADER)?;
        let order = match number(header, 0) ^ MAGIC {
            0 => Order::LowFirst,
            1 => Order::HighFirst,
            _ => return None,
        };
        let sum = [number(header, 24), number(header, 28)];
        let page_size = usize::try_from(number(header, 8)).ok()?;
        let is_good = checksum(order, [0, 0], &header[..24]) == sum
            && (512..=65536).contains(&page_size)
            && page_size.is_power_of_two();
        let salt = [number(header, 16), number(header, 20)];
        is_good.then_some(Header { order, page_size, salt, sum })
    }
}

/// A frame with its page.
#[derive(Clone, Debug)]
pub(super) struct FrameBytes(Vec<u8>);

impl FrameBytes {
    pub(super) fn page(&self) -> &[u8] {
        &self.0[FRAME_HEADER..]
    }

    pub(super) fn page_number(&self) -> u32 {
        number(&self.0, 0)
    }

    /// Number of pages of the database, if a transaction ends here; 0 if not.
    pub(super) fn commit(&self) -> u32 {
        number(&self.0, 4)
    }

    pub(super) fn salt(&self) -> Salt {
        [number(&self.0, 8), number(&self.0, 12)]
    }

    /// The checksum that it has.
    pub(super) fn stored(&self) -> Sum {
        [number(&self.0, 16), number(&self.0, 20)]
    }

    /// The checksum that it should have, from that of the frame before.
    pub(super) fn sum(&self, order: Order, before: Sum) -> Sum {
        checksum(order, checksum(order, before, &self.0[..8]), self.page())
    }

    /// Whether its checksum goes on from another one.
    pub(super) fn follows(&self, order: Order, before: Sum) -> bool {
        self.sum(order, before) == self.stored()
    }
}

/// The frames of a file, of which one is in memory at a time.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) file: File,
    pub(super) page_size: usize,
    pub(super) count: usize,
}

impl Frames {
    /// All frames in order.
    pub(super) fn read(&self) -> io::Result<impl Iterator<Item = io::Result<FrameBytes>>> {
        let mut reader = BufReader::with_capacity(BUFFER, &self.file);
        reader.seek(SeekFrom::Start(HEADER as u64))?;
        let length = FRAME_HEADER + self.page_size;
        Ok((0..self.count).map(move |_| {
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes)?;
            Ok(FrameBytes(bytes))
        }))
    }
}

pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |number| u32::from_be_bytes(*number))
}

/// Goes on with a checksum, over a multiple of 8 bytes.
pub(super) fn checksum(order: Order, before: Sum, bytes: &[u8]) -> Sum {
    let [mut one, mut two] = before;
    let numbers = bytes.as_chunks().0.iter().map(|number: &[u8; 4]| match order {
        Order::LowFirst => u32::from_le_bytes(*number),
        Order::HighFirst => u32::from_be_bytes(*number),
    });
    for (at, number) in numbers.enumerate() {
        if at % 2 == 0 {
            one = one.wrapping_add(number).wrapping_add(two);
        } else {
            two = two.wrapping_add(number).wrapping_add(one);
        }
    }
    [one, two]
}
