//! Merging ascending streams: one loop for two streams, and a tree of such pairs for many.
//!
//! Every operation on many sets is a tree of operations on two. A tree over k streams costs
//! O(log k) a value, as a heap does, but its loop has no branch that depends on the values:
//! which of two random values is smaller cannot be predicted.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;

use super::rice::{CHUNK, Values};

/// An ascending stream of distinct values, read chunk by chunk.
pub(crate) trait Source {
    /// Why a stream may break off.
    type Error;

    /// Values that come next and are not consumed yet; empty only at the end of the stream.
    fn chunk(&mut self) -> Result<&[u64], Self::Error>;

    /// Consumes the first `count` values of the chunk.
    fn consume(&mut self, count: usize);

    /// How many values are still to come.
    fn lengths(&self) -> Lengths;
}

impl Source for Values<'_> {
    type Error = Infallible;

    #[inline]
    fn chunk(&mut self) -> Result<&[u64], Infallible> {
        Ok(self.peek_chunk())
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.skip_in_chunk(count);
    }

    fn lengths(&self) -> Lengths {
        Lengths::exact(self.remaining())
    }
}

/// Least and greatest possible number of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub least: u64,
    pub most: u64,
}

impl Lengths {
    pub(crate) fn exact(len: u64) -> Lengths {
        Lengths { least: len, most: len }
    }

    /// With `extra` values more.
    fn plus(self, extra: usize) -> Lengths {
        let extra = extra as u64;
        Lengths { least: self.least.saturating_add(extra), most: self.most.saturating_add(extra) }
    }
}

/// An operation on two sets. Those on many are made of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// What is in either.
    Either,
    /// What is in both.
    Both,
    /// What is in the first and not in the second.
    OnlyFirst,
    /// What is in one and not in the other.
    OnlyOne,
}

impl Pairing {
    /// How long the result of two streams can be.
    fn lengths(self, first: Lengths, second: Lengths) -> Lengths {
        let sum = first.most.saturating_add(second.most);
        let first_alone = first.least.saturating_sub(second.most);
        let second_alone = second.least.saturating_sub(first.most);
        match self {
            Pairing::Either => Lengths { least: first.least.max(second.least), most: sum },
            Pairing::Both => Lengths { least: 0, most: first.most.min(second.most) },
            Pairing::OnlyFirst => Lengths { least: first_alone, most: first.most },
            Pairing::OnlyOne => Lengths { least: first_alone.max(second_alone), most: sum },
        }
    }

    /// Whether what only the first or only the second stream has is in the result.
    fn keeps(self) -> (bool, bool) {
        match self {
            Pairing::Either | Pairing::OnlyOne => (true, true),
            Pairing::Both => (false, false),
            Pairing::OnlyFirst => (true, false),
        }
    }

    /// Merges as much as one call can: until a chunk is used up or `out` is full.
    fn merge(self, first: &[u64], second: &[u64], out: &mut [u64]) -> Merged {
        match self {
            Pairing::Either => merge(first, second, out, |_, _| true),
            Pairing::Both => merge(first, second, out, |a, b| a == b),
            Pairing::OnlyFirst => merge(first, second, out, |a, b| a < b),
            Pairing::OnlyOne => merge(first, second, out, |a, b| a != b),
        }
    }
}

/// How many values of each chunk a merge has used up, and how many it has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Merged {
    first: usize,
    second: usize,
    out: usize,
}

/// Takes the smaller of the two next values, or both if they are equal, and writes it if
/// `keep` says so of the two.
#[inline(always)]
fn merge(
    first: &[u64],
    second: &[u64],
    out: &mut [u64],
    keep: impl Fn(u64, u64) -> bool,
) -> Merged {
    let (mut i, mut j, mut k) = (0, 0, 0);
    loop {
        let steps = (first.len() - i).min(second.len() - j).min(out.len() - k);
        if steps == 0 {
            return Merged { first: i, second: j, out: k };
        }
        for _ in 0..steps {
            let (a, b) = (first[i], second[j]);
            out[k] = a.min(b);
            k += usize::from(keep(a, b));
            i += usize::from(a <= b);
            j += usize::from(b <= a);
        }
    }
}

/// A tree whose leaves are streams and whose nodes are operations on two.
#[derive(Clone, Debug)]
pub(crate) enum Tree<S> {
    Leaf(Box<S>),
    Node(Box<Node<S>>),
}

#[derive(Clone, Debug)]
pub(crate) struct Node<S> {
    pairing: Pairing,
    first: Tree<S>,
    second: Tree<S>,
    /// Results that are not consumed yet are at `at..filled`.
    out: [u64; CHUNK],
    at: usize,
    filled: usize,
}

impl<S> Tree<S> {
    /// Combines two trees.
    pub(crate) fn pair(pairing: Pairing, first: Tree<S>, second: Tree<S>) -> Tree<S> {
        let out = [0; CHUNK];
        Tree::Node(Box::new(Node { pairing, first, second, out, at: 0, filled: 0 }))
    }

    /// Combines any number of streams by an operation for which grouping does not matter, in
    /// a tree of least depth; `None` for no streams.
    pub(crate) fn balanced(pairing: Pairing, streams: Vec<S>) -> Option<Tree<S>> {
        let mut level: Vec<Tree<S>> =
            streams.into_iter().map(|stream| Tree::Leaf(Box::new(stream))).collect();
        while level.len() > 1 {
            let mut above = Vec::with_capacity(level.len().div_ceil(2));
            let mut trees = level.into_iter();
            while let Some(first) = trees.next() {
                above.push(match trees.next() {
                    Some(second) => Tree::pair(pairing, first, second),
                    None => first,
                });
            }
            level = above;
        }
        level.pop()
    }
}

impl<S: Source> Source for Tree<S> {
    type Error = S::Error;

    fn chunk(&mut self) -> Result<&[u64], S::Error> {
        match self {
            Tree::Leaf(stream) => stream.chunk(),
            Tree::Node(node) => {
                if node.at == node.filled {
                    node.refill()?;
                }
                Ok(&node.out[node.at..node.filled])
            }
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Tree::Leaf(stream) => stream.consume(count),
            Tree::Node(node) => node.at = (node.at + count).min(node.filled),
        }
    }

    fn lengths(&self) -> Lengths {
        match self {
            Tree::Leaf(stream) => stream.lengths(),
            Tree::Node(node) => {
                let still = node.pairing.lengths(node.first.lengths(), node.second.lengths());
                still.plus(node.filled - node.at)
            }
        }
    }
}

impl<S: Source> Node<S> {
    /// Fills `out` with at least one value, unless both streams have ended or nothing that is
    /// left can be in the result.
    fn refill(&mut self) -> Result<(), S::Error> {
        (self.at, self.filled) = (0, 0);
        let (keep_first, keep_second) = self.pairing.keeps();
        while self.filled == 0 {
            let first = self.first.chunk()?;
            let second = self.second.chunk()?;
            let merged = match (first.is_empty(), second.is_empty()) {
                (false, false) => self.pairing.merge(first, second, &mut self.out),
                (false, true) if keep_first => copy(first, &mut self.out),
                (true, false) if keep_second => {
                    let Merged { first: second, out, .. } = copy(second, &mut self.out);
                    Merged { first: 0, second, out }
                }
                _ => break,
            };
            self.first.consume(merged.first);
            self.second.consume(merged.second);
            self.filled = merged.out;
        }
        Ok(())
    }
}

/// Copies what fits of the only stream that is left.
fn copy(first: &[u64], out: &mut [u64]) -> Merged {
    let count = first.len().min(out.len());
    out[..count].copy_from_slice(&first[..count]);
    Merged { first: count, second: 0, out: count }
}
