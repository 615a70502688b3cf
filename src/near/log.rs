//! Where the near cache keeps its entries: a log of records, and an index that says where each one is. Pure.
//!
//! A new entry is appended to the log, without an allocation of its own, because memory that is touched for the first time is
//! most of what a first read costs. Records move only when room is made. The index grows without reading any record.
//!
//! Room is made by second chance: of the log's oldest segment, records that were asked for since they were written are kept,
//! at most half a segment, and the others are dropped.

use std::cell::Cell;
use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as HashEntry;

use super::entry::{Entry, KeyState};
use super::fingerprint::Fingerprint;

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
/// Entries that the first index has room for, and more than the bytes that it takes.
const LEAST_ENTRIES: usize = 56;
const LEAST_INDEX: usize = 600;

/// Before the text in a record: the key, the end with its flags, the length of the text.
const HEAD: usize = 26;
/// The first bits of the end are flags: 36 years of nanoseconds since the machine was started are for ever.
const FOR_EVER: u64 = (1 << 60) - 1;
const OWN: u64 = 1 << 60;
const BRIEF: u64 = 1 << 61;
const PRESENT: u64 = 1 << 62;
const TEXT: u64 = 1 << 63;

/// What the index holds of a record: enough to grow, and mostly enough to see that a key is not there.
#[derive(Debug)]
struct Slot {
    /// A quarter of the key.
    tag: u32,
    /// Where the record begins, in units, and whether it was asked for.
    at: Cell<u32>,
}

const ASKED_FOR: u32 = 1 << 31;
const _: () = assert!(MOST / UNIT <= ASKED_FOR as usize);

impl Slot {
    /// The byte at which the record begins.
    const fn start(&self) -> usize {
        self.position() as usize * UNIT
    }

    const fn position(&self) -> u32 {
        self.at.get() & !ASKED_FOR
    }

    const fn is_asked_for(&self) -> bool {
        self.at.get() & ASKED_FOR != 0
    }

    const fn hash(&self) -> u64 {
        spread(self.tag)
    }
}

/// The hash that the index uses. It takes a slot's place from the last bits and compares the first ones, so both are the tag.
const fn spread(tag: u32) -> u64 {
    (tag as u64) << 32 | tag as u64
}

/// The number in a slot for a record that begins at that byte.
fn position(start: usize) -> u32 {
    u32::try_from(start / UNIT).expect("a log is bounded")
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
        let (length, rest) = take(rest);
        let text = &rest[..u16::from_le_bytes(length).into()];
        Self {
            key: Fingerprint([u64::from_le_bytes(first), u64::from_le_bytes(second)]),
            end: u64::from_le_bytes(end),
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
        Entry { state, own: self.end & OWN != 0, ends: self.end & FOR_EVER, brief: self.end & BRIEF != 0 }
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
    index: HashTable<Slot>,
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
            index: HashTable::new(),
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes of index and segments.
    pub(super) fn bytes(&self) -> usize {
        self.order.len() * self.segment + self.index.allocation_size()
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max_bytes as u64);
    }

    /// The entry of a key, which counts as asked for from now on.
    pub(super) fn get(&self, key: Fingerprint) -> Option<Entry<'_>> {
        let (slot, record) = self.find(key)?;
        if !slot.is_asked_for() {
            slot.at.set(slot.at.get() | ASKED_FOR);
        }
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
        // The index is accessed once, to find the key and to make its place: its memory is rarely in the processor's cache.
        let is_it = |slot: &Slot| slot.tag == tag && record(segments, *segment, slot).key == key;
        let before = match index.entry(spread(tag), is_it, Slot::hash) {
            HashEntry::Occupied(found) if stays(record(segments, *segment, found.get()).entry()) => return false,
            HashEntry::Occupied(found) => Some(std::mem::replace(found.into_mut(), Slot { tag, at: Cell::new(at) })),
            HashEntry::Vacant(place) => {
                place.insert(Slot { tag, at: Cell::new(at) });
                None
            }
        };
        let Segment { bytes, live } = &mut segments[last];
        let end = bytes.len() + size;
        bytes.extend_from_slice(&key.0[0].to_le_bytes());
        bytes.extend_from_slice(&key.0[1].to_le_bytes());
        bytes.extend_from_slice(&end_and_flags.to_le_bytes());
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
        let Self { segments, segment, index, .. } = self;
        let tag = key.tag();
        let is_it = |slot: &Slot| slot.tag == tag && record(segments, *segment, slot).key == key;
        let Ok(found) = index.find_entry(spread(tag), is_it) else { return };
        let (slot, _) = found.remove();
        self.dropped(&slot);
    }

    /// Counts a record that the index no longer has; a segment without any is used again.
    fn dropped(&mut self, slot: &Slot) {
        let segment = slot.start() / self.segment;
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
        let tag = key.tag();
        let slot = self.index.find(spread(tag), |slot| slot.tag == tag && self.record(slot).key == key)?;
        Some((slot, self.record(slot)))
    }

    fn release(&mut self, segment: usize) {
        self.segments[segment] = Segment::default();
        self.unused.push(segment);
    }

    /// Makes room for one more slot. False: the bound does not allow for it.
    ///
    /// The index doubles only where that is within the bound. Otherwise it stays three quarters full (fuller, it would soon be
    /// full of what removals leave behind), and slots come from the oldest segment. It does not displace segments to double:
    /// that would drop many at once, with entries that are asked for.
    fn make_slot(&mut self) -> bool {
        loop {
            let (entries, buckets) = (self.index.len(), self.index.num_buckets());
            let is_full = entries == self.index.capacity();
            if !is_full && entries < buckets / 4 * 3 {
                return true;
            }
            let fits = self.bytes() + self.index.allocation_size().max(LEAST_INDEX) <= self.max_bytes;
            // With so few entries, `reserve` does not double the index but clears what removals have left.
            if is_full && (fits || entries < buckets / 16 * 7) {
                self.index.reserve(if entries == 0 { LEAST_ENTRIES } else { 1 }, Slot::hash);
            } else if fits {
                return true;
            } else if let Some(oldest) = self.order.pop_front() {
                self.forget_records(oldest, self.segment / 2);
                // New records go there from here on.
                self.order.push_back(oldest);
            } else {
                return false;
            }
        }
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
            if let Ok(found) = self.index.find_entry(spread(record.key.tag()), |slot| slot.position() == at) {
                if found.get().is_asked_for() && kept.bytes.len() + record.length <= keep {
                    found.get().at.set(position(segment * self.segment + kept.bytes.len()));
                    kept.bytes.extend_from_slice(&old.bytes[start..end]);
                    kept.live += 1;
                } else {
                    found.remove();
                }
            }
            start = end;
        }
        self.segments[segment] = kept;
    }
}

/// The record of a slot. `length`: of a segment.
fn record<'a>(segments: &'a [Segment], length: usize, slot: &Slot) -> Record<'a> {
    let start = slot.start();
    Record::read(&segments[start / length].bytes[start % length..])
}
