//! How long the server takes to answer: a histogram of the last one to two minutes, in constant memory. Pure.

use crate::redis::{MILLI, Nanos};

/// Buckets per doubling: a quantile is told at most an eighth too large.
const SUB: u32 = 8;
/// From below a microsecond to more than a day.
const BUCKETS: usize = 38 * SUB as usize;
/// How long a window is filled before the next one takes over.
const WINDOW: Nanos = 60_000 * MILLI;

struct Window {
    since: Nanos,
    count: u64,
    most: Nanos,
    buckets: [u32; BUCKETS],
}

impl Window {
    const fn new(since: Nanos) -> Self {
        Self { since, count: 0, most: 0, buckets: [0; BUCKETS] }
    }
}

/// What the histogram says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Answers in the last one to two minutes.
    pub count: u64,
    /// Half of them took at most this long.
    pub p50: Nanos,
    /// 99 of 100 took at most this long.
    pub p99: Nanos,
    /// The longest.
    pub most: Nanos,
}

/// Round trips of the last one to two minutes.
pub struct Latency {
    windows: Box<[Window; 2]>,
}

impl Default for Latency {
    fn default() -> Self {
        Self { windows: Box::new([Window::new(0), Window::new(0)]) }
    }
}

/// Units of 1024 ns, in buckets that grow by an eighth of a doubling.
fn bucket(nanos: Nanos) -> usize {
    let units = nanos >> 10;
    if units < u64::from(SUB) {
        return usize::try_from(units).unwrap_or(0);
    }
    let doubling = units.ilog2() - SUB.ilog2();
    let place = u64::from(doubling * SUB) + (units >> doubling);
    usize::try_from(place).map_or(BUCKETS - 1, |place| place.min(BUCKETS - 1))
}

/// The end of a bucket.
fn end(bucket: usize) -> Nanos {
    let bucket = bucket as u64 + 1;
    let sub = u64::from(SUB);
    if bucket <= sub {
        return bucket << 10;
    }
    // Buckets `sub..2 sub` are the first doubling that is divided.
    let doubling = (bucket - 1) / sub - 1;
    ((bucket - doubling * sub) << doubling) << 10
}

impl Latency {
    /// An answer that was read at `now` took so long.
    pub fn note(&mut self, took: Nanos, now: Nanos) {
        if now.saturating_sub(self.windows[0].since) > WINDOW {
            self.windows.swap(0, 1);
            self.windows[0] = Window::new(now);
        }
        let window = &mut self.windows[0];
        window.count += 1;
        window.most = window.most.max(took);
        let count = &mut window.buckets[bucket(took)];
        *count = count.saturating_add(1);
    }

    /// What it says at `now`.
    #[must_use]
    pub fn summary(&self, now: Nanos) -> Summary {
        let recent = || self.windows.iter().filter(|window| now.saturating_sub(window.since) <= 2 * WINDOW);
        let count = recent().map(|window| window.count).sum::<u64>();
        let most = recent().map(|window| window.most).max().unwrap_or(0);
        let quantile = |hundredths: u64| {
            let rank = (count * hundredths).div_ceil(100).max(1);
            let mut seen = 0;
            let found = (0..BUCKETS).find(|&place| {
                seen += recent().map(|window| u64::from(window.buckets[place])).sum::<u64>();
                seen >= rank
            });
            found.map_or(0, |place| end(place).min(most))
        };
        Summary { count, p50: quantile(50), p99: quantile(99), most }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_holds_what_is_put_into_it(nanos in 0..(1u64 << 46)) {
            let place = bucket(nanos);
            prop_assert!(nanos < end(place));
            prop_assert!(place == 0 || nanos >= end(place - 1));
            prop_assert!(end(place) <= 2048 || end(place) - nanos <= (nanos >> 3) + 1024);
        }

        #[test]
        fn quantiles_are_at_most_an_eighth_too_large(mut times in prop::collection::vec(1_000..10_000_000u64, 1..300)) {
            let mut latency = Latency::default();
            for &took in &times {
                latency.note(took, 1);
            }
            times.sort_unstable();
            let summary = latency.summary(1);
            for (told, hundredths) in [(summary.p50, 50), (summary.p99, 99)] {
                let real = times[(times.len() * hundredths).div_ceil(100) - 1];
                prop_assert!(told >= real && told <= real + (real >> 3) + 1024);
            }
            prop_assert_eq!((summary.count, summary.most), (times.len() as u64, *times.last().unwrap()));
        }
    }

    #[test]
    fn what_is_older_than_two_minutes_is_forgotten() {
        let mut latency = Latency::default();
        latency.note(1_000_000, 0);
        latency.note(2_000, WINDOW + 1);
        assert_eq!(latency.summary(WINDOW + 1).count, 2);
        latency.note(2_000, 2 * WINDOW + 2);
        assert_eq!(latency.summary(2 * WINDOW + 2).most, 2_000);
        assert_eq!(latency.summary(9 * WINDOW), Summary::default());
    }
}
