//! What is known of processes that are gone is forgotten: the short version of benches/soak.rs.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, reason = "it counts allocations")]

mod common;

use common::churn::Churn;

#[path = "common/live.rs"]
#[allow(unreachable_pub, reason = "a bench has it too")]
mod live;

#[global_allocator]
static GLOBAL: live::Counting = live::Counting;

#[test]
fn processes_that_come_and_go_leave_nothing_behind() {
    let mut server = Churn::start();
    let mut most = |ticks: u32| {
        let tick = |_| {
            server.tick();
            live::bytes()
        };
        (0..ticks).map(tick).max().unwrap()
    };
    // All sizes of all windows were in use once, and many workers were ended.
    most(1_500);
    let (before, after) = (most(1_500), most(3_000));
    assert!(after <= before + (16 << 10), "from {before} to {after} bytes");
    assert!(server.orders >= 5, "{} orders", server.orders);
}
