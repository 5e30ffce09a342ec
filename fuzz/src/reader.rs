//! Reading numbers, and files behind their lengths, from the input of a target.

/// Bytes read from the front. When they are all read, zeros follow, which everywhere mean
/// the ordinary case.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Reader<'a> {
        Reader { left: data }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (taken, left) = self.left.split_at(self.left.len().min(N));
        array[..taken.len()].copy_from_slice(taken);
        self.left = left;
        array
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A position below `len`, 0 if that is 0.
    pub(crate) fn position(&mut self, len: usize) -> usize {
        usize::from(self.u16()) % len.max(1)
    }
}

/// Two byte strings, the first behind its length as a u16.
pub(crate) fn pair(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

/// The inverse of [`pair`].
pub(crate) fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    [&(first.len() as u16).to_le_bytes(), first, second].concat()
}
