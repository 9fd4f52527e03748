//! Faults of those who read the page of metrics.

use super::{During, Fault, burst, fault};
use crate::harness::clients::{answers, unanswered};
use crate::world::{RECOVERY, World};

/// Faults of the page.
pub const PAGE: &[Fault] = &[fault("slow clients of the page", slow)];

/// They take all places again and again, and the scraper is answered each time.
fn slow(world: &mut World, name: &'static str, during: During<'_>) {
    const SCRAPES: usize = 10;
    world.begin(name);
    burst(world, 2);
    let page = world.page;
    // An earlier fault may have ended the program.
    if !world.wait_for(RECOVERY, |_| answers(page)) {
        return world.report.fail(format!("{name}: there is no page"));
    }
    let unanswered = unanswered(page, SCRAPES);
    if unanswered > 0 {
        world.report.fail(format!("{name}: {unanswered} of {SCRAPES} scrapes were not answered"));
    }
    during(world);
}
