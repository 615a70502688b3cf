//! Schedules with a purpose.

use super::World;
use super::schedules::Step;

#[test]
fn the_simulation_serves_from_memory_while_slots_move() {
    let mut world = World::new();
    let round = |node| Step::Round(node, Vec::new());
    let schedule =
        [Step::Write(0), Step::Read(2), round(0), round(1), Step::Read(0), Step::Read(2), round(0), round(1)];
    for step in schedule.into_iter().chain([Step::Read(0), Step::Read(2)]) {
        world.run(step).unwrap();
    }
    assert_eq!(world.served, 3);
    for step in [Step::Mark(0, 2), Step::Millis(1_100), Step::Read(0), Step::Read(2), round(0), round(1)] {
        world.run(step).unwrap();
    }
    assert_eq!(world.served, 5, "within the lease");
    for step in [Step::Read(0), Step::Read(2)] {
        world.run(step).unwrap();
    }
    assert_eq!(world.served, 6, "what is on its way is asked for, and the rest is told");
}
