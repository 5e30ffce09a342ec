//! The users of BlueTrace, in memory for as long as they are registered.

use std::fmt;
use std::sync::Arc;

use gcs_core::identifiers::bluetrace::UserId;
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

use super::index::Index;

/// Users that a copy shares, and a change afterwards copies.
const CHUNK: usize = 1024;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The phone number, E.164 without the plus; 0 once nobody is here.
    pub number: u64,
    /// The UserID.
    pub id: [u8; 21],
    /// SHA-256 of the token.
    pub(super) token: [u8; 32],
    /// Position of the registration in the log.
    pub(super) registered: u64,
    /// Position of the event with the present token.
    pub(super) token_set: u64,
}

/// All users, by their places among the registrations of the log, from 0. A user takes 80 bytes,
/// and 42 to 75 in the indexes: 143 bytes of the process were measured with 5 million users that were
/// read, and 160 with as many that were added one by one. Whoever has withdrawn takes 80.
#[derive(Clone, Debug, Default)]
pub struct Users {
    chunks: Vec<Arc<Vec<User>>>,
    by_number: Index,
    /// By the first 8 bytes of the UserID.
    by_id: Index,
    /// By the first 8 bytes of the token's hash.
    by_token: Index,
    len: usize,
}

impl Users {
    /// A user; `None` if nobody is there, or not any more.
    pub fn get(&self, user: u32) -> Option<&User> {
        let chunk = self.chunks.get(user as usize / CHUNK)?;
        chunk.get(user as usize % CHUNK).filter(|user| user.number != 0)
    }

    /// The user who has a phone number.
    pub fn by_number(&self, number: u64) -> Option<(u32, &User)> {
        let user = self.by_number.get(number)?;
        Some((user, self.get(user)?))
    }

    /// The user who has a UserID.
    pub fn by_id(&self, id: &UserId) -> Option<(u32, &User)> {
        let user = self.by_id.get(beginning(&id.0))?;
        Some((user, self.get(user).filter(|known| known.id == id.0)?))
    }

    /// The user who has the token with this hash.
    pub fn by_token(&self, hash: &[u8; 32]) -> Option<(u32, &User)> {
        let user = self.by_token.get(beginning(hash))?;
        Some((user, self.get(user).filter(|known| known.token.ct_eq(hash).into())?))
    }

    /// All users, by their places.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        let all = self.chunks.iter().flat_map(|chunk| chunk.iter());
        all.filter(|user| user.number != 0)
    }

    /// Number of users.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no user.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of registrations, of those too who have withdrawn.
    pub(super) fn places(&self) -> u32 {
        let last = self.chunks.last().map_or(0, |chunk| chunk.len());
        (self.chunks.len().saturating_sub(1) * CHUNK + last) as u32
    }

    pub(super) fn add(&mut self, user: User) {
        let place = self.places();
        if user.number != 0 {
            self.by_number.insert(user.number, place);
            self.by_id.insert(beginning(&user.id), place);
            self.by_token.insert(beginning(&user.token), place);
            self.len += 1;
        }
        self.push(user);
    }

    /// Adds a user whom the indexes have.
    fn push(&mut self, user: User) {
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => Arc::make_mut(chunk).push(user),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(user);
                self.chunks.push(Arc::new(chunk));
            }
        }
    }

    /// Makes the indexes anew.
    fn index(&mut self) {
        let index = |key: fn(&User) -> u64| {
            let users = (0..).zip(self.chunks.iter().flat_map(|chunk| chunk.iter()));
            let users = users.filter(|(_, user)| user.number != 0);
            users.map(|(place, user)| (key(user), place)).collect()
        };
        let by_number = index(|user| user.number);
        let (by_id, by_token) =
            (index(|user| beginning(&user.id)), index(|user| beginning(&user.token)));
        (self.by_number, self.by_id, self.by_token) = (by_number, by_id, by_token);
        let users = self.chunks.iter().flat_map(|chunk| chunk.iter());
        self.len = users.filter(|user| user.number != 0).count();
    }

    /// A registration of which nothing is known any more.
    pub(super) fn add_nobody(&mut self) {
        self.add(User { number: 0, id: [0; 21], token: [0; 32], registered: 0, token_set: 0 });
    }

    /// Gives a user another token. Returns the position of the event with the one before, if that
    /// is not the registration. Nothing happens if nobody is there.
    pub(super) fn set_token(&mut self, place: u32, token: [u8; 32], position: u64) -> Option<u64> {
        let user = self.get(place)?.clone();
        self.by_token.remove(beginning(&user.token));
        self.by_token.insert(beginning(&token), place);
        self.put(place, User { token, token_set: position, ..user.clone() });
        Some(user.token_set).filter(|before| *before != user.registered)
    }

    /// Forgets a user.
    pub(super) fn remove(&mut self, place: u32) -> Option<User> {
        let user = self.get(place)?.clone();
        self.by_number.remove(user.number);
        self.by_id.remove(beginning(&user.id));
        self.by_token.remove(beginning(&user.token));
        let nobody = User { number: 0, id: [0; 21], token: [0; 32], registered: 0, token_set: 0 };
        self.put(place, nobody);
        self.len -= 1;
        Some(user)
    }

    fn put(&mut self, place: u32, user: User) {
        let chunk = self.chunks.get_mut(place as usize / CHUNK).map(Arc::make_mut);
        if let Some(there) = chunk.and_then(|chunk| chunk.get_mut(place as usize % CHUNK)) {
            *there = user;
        }
    }
}

/// The first 8 bytes of what is random.
fn beginning(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
impl User {
    /// A user for the tests of other modules.
    pub(crate) fn for_test(number: u64, id: [u8; 21]) -> User {
        let token = gcs_core::Digest::of(&number.to_le_bytes()).0;
        User { number, id, token, registered: number, token_set: number }
    }
}

#[cfg(test)]
impl Users {
    /// Adds a user, for the tests of other modules.
    pub(crate) fn add_for_test(&mut self, user: User) {
        self.add(user);
    }
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut users = serializer.serialize_seq(Some(self.places() as usize))?;
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .try_for_each(|user| users.serialize_element(user))?;
        users.end()
    }
}

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Users, D::Error> {
        deserializer.deserialize_seq(OneByOne)
    }
}

/// Reads users one by one: a list of all of them beside would take as much memory again.
struct OneByOne;

impl<'de> Visitor<'de> for OneByOne {
    type Value = Users;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Users, A::Error> {
        let mut users = Users::default();
        while let Some(user) = sequence.next_element()? {
            users.push(user);
        }
        users.index();
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u64) -> User {
        let mut id = [0; 21];
        id[..8].copy_from_slice(&number.wrapping_mul(0x1234_5678_9abc_def1).to_le_bytes());
        User::for_test(number, id)
    }

    #[test]
    fn users_are_found_by_everything_they_have_until_they_withdraw() {
        let mut users = Users::default();
        (1..=3000).for_each(|number| users.add(user(number)));
        users.add_nobody();
        assert_eq!((users.len(), users.places()), (3000, 3001));
        let copy = users.clone();
        let of = user(2000);
        assert_eq!(users.by_number(2000), Some((1999, &of)));
        assert_eq!(users.by_id(&UserId(of.id)), Some((1999, &of)));
        assert_eq!(users.by_token(&of.token), Some((1999, &of)));
        assert_eq!(users.set_token(1999, [7; 32], 9000), None);
        assert_eq!(users.by_token(&of.token), None);
        assert_eq!(users.by_token(&[7; 32]).unwrap().0, 1999);
        assert_eq!(users.set_token(1999, [8; 32], 9001), Some(9000));
        assert_eq!(users.remove(1999).unwrap().number, 2000);
        assert_eq!(users.remove(1999), None);
        assert_eq!((users.by_number(2000), users.by_id(&UserId(of.id))), (None, None));
        assert_eq!((users.by_token(&[8; 32]), users.get(1999)), (None, None));
        // What was copied before is as it was.
        assert_eq!(copy.by_token(&of.token), Some((1999, &of)));
        let bytes = postcard::to_allocvec(&users).unwrap();
        let mut read: Users = postcard::from_bytes(&bytes).unwrap();
        assert_eq!((read.len(), read.places()), (2999, 3001));
        for number in (1..=3000).filter(|number| *number != 2000) {
            let (of, place) = (user(number), number as u32 - 1);
            assert_eq!(read.by_number(number), Some((place, &of)));
            assert_eq!(read.by_id(&UserId(of.id)), Some((place, &of)));
            assert_eq!(read.by_token(&of.token), Some((place, &of)));
        }
        // It goes on.
        read.add(user(2000));
        assert_eq!(read.by_number(2000).unwrap().0, 3001);
        read.remove(3001);
        read = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_allocvec(&read).unwrap(), bytes);
    }

    #[test]
    fn a_user_takes_what_the_handbook_says() {
        assert_eq!(size_of::<User>(), 80);
    }
}
