//! What is known of processes that are gone is forgotten: the short version of benches/soak.rs.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, reason = "it counts allocations")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the others use the rest")]
#[path = "common"]
mod common {
    pub mod churn;
    pub mod fake_proc;
    pub mod live;
}

use common::churn::Churn;
use common::live;

#[global_allocator]
static GLOBAL: live::Counting = live::Counting;

#[test]
fn processes_that_come_and_go_leave_no_memory_behind() {
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
