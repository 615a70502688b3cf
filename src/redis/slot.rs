//! Slots: what a cluster divides its keys by. Pure.

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// A slot, or none: a command without a key has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// That of a command without a key, and of every command to a server that is no cluster's.
    pub const NONE: Self = Self(u16::MAX);

    /// The slot of that number; `None`: there is none.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOTS { Some(Self(number)) } else { None }
    }

    /// The slot of a key: of what stands between its first `{` and the next `}`, if that is anything, or else of all of it.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        // Nearly no key has any, which is found out several bytes at a time.
        let tag = if key.contains(&b'{') { tag_of(key) } else { None };
        Self(crc16(tag.unwrap_or(key)) % SLOTS)
    }

    /// All slots, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    /// Its number; that of none is beyond [`SLOTS`].
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What stands between the first `{` of a key and the next `}`, if that is anything.
fn tag_of(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let rest = &key[open + 1..];
    let close = rest.iter().position(|&byte| byte == b'}')?;
    (close > 0).then(|| &rest[..close])
}

/// Some slots.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SlotSet {
    /// A bit for each slot; nothing, where no slot was ever in it.
    words: Vec<u64>,
    len: usize,
}

impl SlotSet {
    /// Adds a slot; [`Slot::NONE`] is never in it. Whether it was not in it.
    pub fn insert(&mut self, slot: Slot) -> bool {
        if slot == Slot::NONE {
            return false;
        }
        if self.words.is_empty() {
            self.words.resize(usize::from(SLOTS) / 64, 0);
        }
        let (word, bit) = Self::place(slot);
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += usize::from(is_new);
        is_new
    }

    /// Takes a slot out. Whether it was in it.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let was_there = self.contains(slot);
        if was_there {
            let (word, bit) = Self::place(slot);
            self.words[word] &= !bit;
            self.len -= 1;
        }
        was_there
    }

    /// Whether a slot is in it.
    #[inline]
    #[must_use]
    pub fn contains(&self, slot: Slot) -> bool {
        let (word, bit) = Self::place(slot);
        self.words.get(word).is_some_and(|found| found & bit != 0)
    }

    /// Whether there is none in it.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Those that are in it, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        let words = (0u16..).zip(&self.words).filter(|(_, word)| **word != 0);
        words
            .flat_map(|(at, &word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| Slot(at * 64 + bit)))
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.len = 0;
    }

    fn place(slot: Slot) -> (usize, u64) {
        (usize::from(slot.0 / 64), 1 << (slot.0 % 64))
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::default();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

/// CRC-16/XMODEM of a byte and so many zeros behind it. With all eight, eight bytes are one step: byte by byte each waits for the
/// one before, which for the length of a key takes longer than all else that a call needs of it.
const TABLES: [[u16; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte: usize = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "it is a byte")]
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc: u16 = tables[zeros - 1][byte];
            tables[zeros][byte] = (crc << 8) ^ tables[0][(crc >> 8) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
};

fn crc16(bytes: &[u8]) -> u16 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let eight = |crc: u16, eight: &[u8; 8]| {
        let [high, low] = crc.to_be_bytes();
        let ahead = [high, low, 0, 0, 0, 0, 0, 0];
        (0..8).fold(0, |sum, at| sum ^ TABLES[7 - at][usize::from(eight[at] ^ ahead[at])])
    };
    let crc = eights.iter().fold(0, eight);
    rest.iter().fold(crc, |crc, byte| (crc << 8) ^ TABLES[0][usize::from((crc >> 8) ^ u16::from(*byte))])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte, bit by bit.
    fn crc16_step(crc: u16, byte: u8) -> u16 {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    }

    #[test]
    fn slots_are_those_that_redis_tells() {
        assert_eq!(crc16(b"123456789"), 0x31c3, "the check value of CRC-16/XMODEM");
        let bytes: Vec<u8> = (0..200_u8).map(|at| at.wrapping_mul(37)).collect();
        for length in 0..bytes.len() {
            let one_by_one = bytes[..length].iter().fold(0, |crc, byte| crc16_step(crc, *byte));
            assert_eq!(crc16(&bytes[..length]), one_by_one, "{length} bytes");
        }
        // Told by CLUSTER KEYSLOT of a Redis 7.0.
        for (key, slot) in [
            ("", 0),
            ("foo", 12_182),
            ("bar", 5_061),
            ("hello", 866),
            ("{user1000}.following", 3_443),
            ("{user1000}.followers", 3_443),
            ("user1000", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("{bar", 4_015),
            ("foo{bar}{zap}", 5_061),
            ("}{foo}", 12_182),
            ("{foo", 13_308),
        ] {
            assert_eq!(Slot::of(key.as_bytes()).number(), slot, "{key}");
        }
    }

    #[test]
    fn a_set_has_what_was_put_in_and_never_the_slot_of_no_key() {
        let mut set = SlotSet::default();
        assert!(set.is_empty() && !set.contains(Slot::of(b"foo")) && !set.contains(Slot::NONE));
        assert!(set.insert(Slot::of(b"foo")) && !set.insert(Slot::of(b"foo")));
        assert!(!set.insert(Slot::NONE) && !set.contains(Slot::NONE));
        for slot in Slot::all() {
            assert_eq!(set.contains(slot), slot.number() == 12_182);
        }
        let last = Slot::new(SLOTS - 1).unwrap();
        set.insert(last);
        assert!(set.contains(last) && set.len() == 2 && Slot::new(SLOTS).is_none());
        assert_eq!(set.iter().map(Slot::number).collect::<Vec<_>>(), [12_182, SLOTS - 1]);
        assert!(set.remove(last) && !set.remove(last) && !set.remove(Slot::NONE) && set.len() == 1);
        assert_eq!(set, [Slot::of(b"foo")].into_iter().collect());
        set.insert(last);
        set.clear();
        assert!(set.is_empty() && !set.contains(last));
    }
}
