//! Where the near cache keeps its entries: a log of records, and an index that says where each one is. Pure.
//!
//! A new entry is appended to the log, without an allocation of its own, because memory that is touched for the first time is
//! most of what a first read costs. Records move only when room is made. The index grows without reading any record.
//!
//! Room is made by second chance: of the log's oldest segment, records that were asked for since they were written are kept,
//! at most half a segment, and the others are dropped.

use std::collections::VecDeque;

use super::entry::{Entry, KeyState};
use super::fingerprint::Fingerprint;
use super::homes::Home;
use super::index::{Index, POSITIONS, Slot};

/// Records begin at multiples of this, so that 31 bits tell where in 8 GiB one is.
const UNIT: usize = 4;
/// The largest bound.
const MOST: usize = 8 << 30;
/// Length of a segment of a large log, in bytes. A record lies in one segment: what is larger is not kept.
const SEGMENT: usize = 64 * 1024;
/// A small log has at least so many segments, so that room is made in small steps.
const SEGMENTS: usize = 8;
/// The least length of a segment.
const LEAST_SEGMENT: usize = 512;

/// Before the text in a record: the key, the end with its flags, the home, the length of the text.
const HEAD: usize = 28;
/// The first bits of the end are flags: 36 years of nanoseconds since the machine was started are for ever.
const FOR_EVER: u64 = (1 << 60) - 1;
const OWN: u64 = 1 << 60;
const BRIEF: u64 = 1 << 61;
const PRESENT: u64 = 1 << 62;
const TEXT: u64 = 1 << 63;

// No record begins at the last of them: it has a head.
const _: () = assert!(MOST / UNIT <= POSITIONS + 1);

/// The number in a slot for a record that begins at that byte.
fn position(start: usize) -> u32 {
    u32::try_from(start / UNIT).expect("a log is bounded")
}

/// The byte at which the record of a slot begins.
const fn start(slot: &Slot) -> usize {
    slot.position() as usize * UNIT
}

/// Records one after the other.
#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// How many of its records are in the index.
    live: usize,
}

/// A record's parts.
struct Record<'a> {
    key: Fingerprint,
    end: u64,
    home: u16,
    text: &'a [u8],
    /// Length with its padding.
    length: usize,
}

fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = bytes.split_first_chunk().expect("records are whole");
    (*first, rest)
}

impl<'a> Record<'a> {
    /// The record at the beginning of these bytes.
    fn read(bytes: &'a [u8]) -> Self {
        let (first, rest) = take(bytes);
        let (second, rest) = take(rest);
        let (end, rest) = take(rest);
        let (home, rest) = take(rest);
        let (length, rest) = take(rest);
        let text = &rest[..u16::from_le_bytes(length).into()];
        Self {
            key: Fingerprint([u64::from_le_bytes(first), u64::from_le_bytes(second)]),
            end: u64::from_le_bytes(end),
            home: u16::from_le_bytes(home),
            text,
            length: padded(text.len()),
        }
    }

    fn entry(&self) -> Entry<'a> {
        let state = match self.end & (PRESENT | TEXT) {
            0 => KeyState::Absent,
            PRESENT => KeyState::Present,
            _ => KeyState::Text(self.text),
        };
        Entry {
            state,
            own: self.end & OWN != 0,
            ends: self.end & FOR_EVER,
            brief: self.end & BRIEF != 0,
            home: Home::of(self.home),
        }
    }
}

const fn padded(text: usize) -> usize {
    (HEAD + text).next_multiple_of(UNIT)
}

/// The entries of a near cache, in no more than so many bytes.
#[derive(Debug)]
pub(super) struct Log {
    max_bytes: usize,
    /// Length of a segment.
    segment: usize,
    segments: Vec<Segment>,
    /// Segments with records, oldest first. The last one is written to.
    order: VecDeque<usize>,
    /// Segments without.
    unused: Vec<usize>,
    index: Index,
}

impl Log {
    /// An empty log. `max_bytes`: of index and segments together; beyond 8 GiB it stands for that.
    pub(super) fn new(max_bytes: u64) -> Self {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(MOST).min(MOST);
        let segment = (max_bytes / SEGMENTS).clamp(LEAST_SEGMENT, SEGMENT).next_multiple_of(UNIT);
        Self {
            max_bytes,
            segment,
            segments: Vec::new(),
            order: VecDeque::new(),
            unused: Vec::new(),
            index: Index::default(),
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes of index and segments.
    pub(super) fn bytes(&self) -> usize {
        self.order.len() * self.segment + self.index.bytes()
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max_bytes as u64);
    }

    /// The entry of a key, which counts as asked for from now on.
    pub(super) fn get(&self, key: Fingerprint) -> Option<Entry<'_>> {
        let (slot, record) = self.find(key)?;
        slot.ask_for();
        Some(record.entry())
    }

    /// The same, without counting as asked for.
    #[cfg(test)]
    pub(super) fn peek(&self, key: Fingerprint) -> Option<Entry<'_>> {
        self.find(key).map(|(_, record)| record.entry())
    }

    /// Remembers an entry in place of the key's earlier one, unless `stays` says that the earlier one stays. An entry that is
    /// too large for a segment is not remembered, and the earlier one is forgotten. False: the earlier one has stayed.
    ///
    /// Inlined, because it is faster when the entry's fields come in registers.
    #[inline]
    pub(super) fn insert(&mut self, key: Fingerprint, entry: Entry<'_>, stays: impl FnOnce(Entry<'_>) -> bool) -> bool {
        let (kind, text): (_, &[u8]) = match entry.state {
            KeyState::Absent => (0, &[]),
            KeyState::Present => (PRESENT, &[]),
            KeyState::Text(text) => (TEXT, text),
        };
        let flags = kind | if entry.own { OWN } else { 0 } | if entry.brief { BRIEF } else { 0 };
        let end_and_flags = entry.ends.min(FOR_EVER) | flags;

        let size = padded(text.len());
        let room = size <= self.segment && self.make_room(size);
        let (Ok(length), true) = (u16::try_from(text.len()), room) else {
            self.remove(key);
            return true;
        };
        let Self { segments, segment, index, order, .. } = self;
        let Some(&last) = order.back() else { return true };
        let tag = key.tag();
        let at = position(last * *segment + segments[last].bytes.len());
        let before = match index.find(tag, |slot| record(segments, *segment, slot).key == key) {
            Ok(place) if stays(record(segments, *segment, index.slot(place)).entry()) => return false,
            Ok(place) => Some(index.replace(place, Slot::new(tag, at))),
            Err(place) => {
                index.insert(place, Slot::new(tag, at));
                None
            }
        };
        let Segment { bytes, live } = &mut segments[last];
        let end = bytes.len() + size;
        bytes.extend_from_slice(&key.0[0].to_le_bytes());
        bytes.extend_from_slice(&key.0[1].to_le_bytes());
        bytes.extend_from_slice(&end_and_flags.to_le_bytes());
        bytes.extend_from_slice(&entry.home.number().to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text);
        bytes.resize(end, 0);
        *live += 1;
        if let Some(slot) = before {
            self.dropped(&slot);
        }
        true
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, key: Fingerprint) {
        let Ok(place) = self.place(key) else { return };
        let slot = self.index.remove(place);
        self.dropped(&slot);
    }

    /// Counts a record that the index no longer has; a segment without any is used again.
    fn dropped(&mut self, slot: &Slot) {
        let segment = start(slot) / self.segment;
        self.segments[segment].live -= 1;
        if self.segments[segment].live > 0 {
            return;
        }
        if self.order.back() == Some(&segment) {
            // Otherwise a key that changes all the time would fill one segment after the other.
            self.segments[segment].bytes.clear();
        } else {
            self.order.retain(|&one| one != segment);
            self.release(segment);
        }
    }

    /// All keys with what is known of them.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (Fingerprint, Entry<'_>)> {
        self.index.iter().map(|slot| self.record(slot)).map(|record| (record.key, record.entry()))
    }

    fn record(&self, slot: &Slot) -> Record<'_> {
        record(&self.segments, self.segment, slot)
    }

    fn find(&self, key: Fingerprint) -> Option<(&Slot, Record<'_>)> {
        let slot = self.index.slot(self.place(key).ok()?);
        Some((slot, self.record(slot)))
    }

    fn place(&self, key: Fingerprint) -> Result<usize, usize> {
        self.index.find(key.tag(), |slot| self.record(slot).key == key)
    }

    fn release(&mut self, segment: usize) {
        self.segments[segment] = Segment::default();
        self.unused.push(segment);
    }

    /// Makes room for one more slot. False: the bound does not allow for it.
    ///
    /// The index doubles only where that is within the bound. Otherwise slots come from the oldest segment. It does not
    /// displace segments to double: that would drop many at once, with entries that are asked for.
    fn make_slot(&mut self) -> bool {
        while self.index.is_full() {
            if self.bytes() + self.index.growth() <= self.max_bytes {
                self.index.grow();
            } else if let Some(oldest) = self.order.pop_front() {
                self.forget_records(oldest, self.segment / 2);
                // New records go there from here on.
                self.order.push_back(oldest);
            } else {
                return false;
            }
        }
        true
    }

    /// Makes room for a record of that size, and for its slot. False: the bound does not allow for it.
    fn make_room(&mut self, size: usize) -> bool {
        if !self.make_slot() {
            return false;
        }
        if self.order.back().is_some_and(|&last| self.segments[last].bytes.len() + size <= self.segment) {
            return true;
        }
        let segment = if self.bytes() + self.segment <= self.max_bytes {
            let segment = self.unused.pop().unwrap_or(self.segments.len());
            if segment == self.segments.len() {
                self.segments.push(Segment::default());
            }
            self.segments[segment].bytes.reserve_exact(self.segment);
            segment
        } else if let Some(oldest) = self.order.pop_front() {
            self.forget_records(oldest, (self.segment / 2).min(self.segment - size));
            oldest
        } else {
            return false;
        };
        self.order.push_back(segment);
        true
    }

    /// Forgets a segment's records except those that were asked for, of which it keeps so many bytes at most.
    fn forget_records(&mut self, segment: usize, keep: usize) {
        let old = std::mem::take(&mut self.segments[segment]);
        let mut kept = Segment { bytes: Vec::with_capacity(if keep > 0 { self.segment } else { 0 }), live: 0 };
        let mut start = 0;
        while start < old.bytes.len() {
            let record = Record::read(&old.bytes[start..]);
            let at = position(segment * self.segment + start);
            let end = start + record.length;
            let tag = record.key.tag();
            if let Ok(place) = self.index.find(tag, |slot| slot.position() == at) {
                if self.index.slot(place).is_asked_for() && kept.bytes.len() + record.length <= keep {
                    let at = position(segment * self.segment + kept.bytes.len());
                    self.index.replace(place, Slot::new(tag, at));
                    kept.bytes.extend_from_slice(&old.bytes[start..end]);
                    kept.live += 1;
                } else {
                    self.index.remove(place);
                }
            }
            start = end;
        }
        self.segments[segment] = kept;
    }
}

/// The record of a slot. `length`: of a segment.
fn record<'a>(segments: &'a [Segment], length: usize, slot: &Slot) -> Record<'a> {
    let start = start(slot);
    Record::read(&segments[start / length].bytes[start % length..])
}
