//! The demo: the first output that a new user sees.

use crate::support::laptop::Laptop;
use crate::support::processes;
use crate::support::screens::Screens;

#[test]
fn from_its_first_line_to_the_last() {
    let laptop = Laptop::new();
    let place = laptop.top().join("demo");
    let mut screens = Screens::new();
    screens.add(&laptop, &laptop.handoff(["demo"]).args([&place]).run());
    screens.add(&laptop, &laptop.handoff(["demo"]).args([&place]).run());
    processes::end(&place.join("demobox"));
    screens.match_file("demo");
}
