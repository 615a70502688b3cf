//! Random histories of two engines, the store's thread and a lock that others hold now and then: the order of each engine's writes
//! holds, whichever way they go, and each read sees what its engine has written before.

use std::collections::VecDeque;

use super::*;

#[derive(Debug, Clone, Copy)]
struct Piece {
    engine: usize,
    weight: Weight,
    writes: bool,
    /// The last write of this engine up to here, itself included.
    number: u64,
}

#[derive(Default)]
struct World {
    random: fastrand::Rng,
    /// The last write of each engine that the store holds.
    held: [u64; 2],
    /// The last write of each engine that was made.
    made: [u64; 2],
    queue: VecDeque<Piece>,
    here: u64,
    there: u64,
}

impl World {
    /// It is carried out, wherever.
    fn apply(&mut self, piece: Piece) {
        let held = &mut self.held[piece.engine];
        if piece.writes {
            assert_eq!(piece.number, *held + 1, "a write has overtaken another of its engine");
            *held = piece.number;
        } else {
            assert!(*held >= piece.number, "a read does not see what its engine has written before");
        }
    }

    fn piece(&mut self, engine: usize) -> Piece {
        let writes = self.random.bool();
        self.made[engine] += u64::from(writes);
        let weight = match self.random.u8(0..10) {
            0 => Weight::Long,
            _ if writes => Weight::Write(self.random.usize(1..LARGE + 100)),
            _ => Weight::Read,
        };
        Piece { engine, weight, writes, number: self.made[engine] }
    }

    /// A tick of an engine, as `Here::carry_out` goes about it.
    fn tick(&mut self, engine: usize) {
        let count = self.random.usize(1..8);
        let work: Vec<_> = (0..count).map(|_| self.piece(engine)).collect();
        let behind = self.queue.iter().any(|piece| piece.engine == engine && piece.writes);
        let mut course = Course::new(behind, self.random.u8(0..8) > 0);
        let mut done = Vec::new();
        let mut locked = false;
        for piece in &work {
            if !course.takes(piece.weight, self.random.u8(0..20) > 0) {
                break;
            }
            // The lock is asked for once, with the first write.
            if piece.writes && !locked {
                if self.random.u8(0..4) == 0 {
                    break;
                }
                locked = true;
            }
            done.push(*piece);
        }
        // A commit that fails takes all from the first write on with it.
        if locked && self.random.u8(0..8) == 0 {
            done.truncate(done.iter().position(|piece| piece.writes).unwrap());
        }
        for piece in &done {
            self.apply(*piece);
        }
        self.here += done.len() as u64;
        self.queue.extend(&work[done.len()..]);
    }

    /// The store's thread takes what has come up.
    fn thread(&mut self) {
        let count = self.random.usize(0..=self.queue.len());
        for piece in self.queue.drain(..count).collect::<Vec<_>>() {
            self.there += 1;
            self.apply(piece);
        }
    }
}

#[test]
fn the_order_of_each_engine_holds_whichever_way_its_work_goes() {
    let (mut here, mut there) = (0, 0);
    for seed in 0..500 {
        let mut world = World { random: fastrand::Rng::with_seed(seed), ..World::default() };
        for _ in 0..200 {
            match world.random.u8(0..3) {
                0 => world.thread(),
                engine => world.tick(usize::from(engine) - 1),
            }
        }
        while !world.queue.is_empty() {
            world.thread();
        }
        assert_eq!(world.held, world.made, "seed {seed}: a write is missing");
        here += world.here;
        there += world.there;
    }
    assert!(here > 10_000 && there > 10_000, "both ways are gone: {here}, {there}");
}
