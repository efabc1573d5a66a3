//! Every number that the detector rests on, in one place.
//!
//! Each has a meaning and a source; none is fitted to one program. "Measured" means on the
//! labelled recordings that the detector was developed on and on generated ones.

use crate::core::model::event::SOON_S;
use crate::core::model::verdict::PROOF_SAMPLES;

/// The level whose blocks are one planned interval. Those below it serve a live run, in which
/// samples may come up to 2^4 times as often.
pub const INTERVAL_LEVEL: usize = 4;

/// Levels in all. Level `l` has blocks of 2^(l - INTERVAL_LEVEL) planned intervals; the longest
/// window is 24 blocks of level 15, 49152 intervals (2.8 days at 5 s).
pub const LEVELS: usize = INTERVAL_LEVEL + 12;

/// Window lengths in blocks.
pub const WINDOW_LENGTHS: [usize; 3] = [12, 17, 24];

/// Blocks kept per level: the longest window.
pub const RING: usize = 24;

/// Least rank sum of each window length: its exact permutation tail is at most 1e-7, so minima
/// that only fluctuate pass less than once in 2000 process hours at 5 s.
pub const LEAST_RANK_SUM: [i32; 3] = [64, 112, 192];

/// The thresholds of the detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// Never extrapolate further than this many times the length of the evidence
    /// (`--max-extrapolation`): a steady leak is proven when a seventh of its way to the end of
    /// memory is done. Measured flat from 4 to 8: healthy cases named .23 to .25, delay .22 to .15,
    /// recall .95 to .97.
    pub max_extrapolation: f64,
    /// Growth below this many bytes in a window does not count: 64 pages of 4 KiB, the step of a
    /// malloc arena.
    pub least_growth: f64,
    /// The second half of a window grows by at least this share of the first. An exponential warm-up
    /// fails once the window is longer than 0.7 of its time constant.
    pub second_half: f64,
    /// In the last sixth of a window growth goes on at no less than this share of its pace: a cache
    /// that has just filled looks steady for a third of the window.
    pub final_pace: f64,
    /// Growth exceeds the largest fall ever seen on its level by this factor.
    pub fall_factor: f64,
    /// Consecutive windows that must pass.
    pub passes: u8,
    /// Samples of evidence that an urgent verdict needs, and samples of life that a patient one
    /// does: first ramps of caches and sawtooths are mostly over by then.
    pub samples: u32,
    /// Samples of evidence that are enough where memory ends within less than their length: there
    /// is no time to wait for more.
    pub hasty_samples: u32,
    /// Samples of life after which growth is said, however short.
    pub few_samples: u32,
    /// Growth as a share of itself that is said where memory ends soon.
    pub few_growth: f64,
    /// Growth as a share of itself that is said where memory ends within `slight_reach` times the
    /// window.
    pub slight_growth: f64,
    /// See there.
    pub slight_reach: f64,
    /// Share of the process's life that a patient verdict's window covers.
    pub patient_life: f64,
    /// Growth as a share of the footprint it grew from, for a patient verdict.
    pub patient_growth: f64,
    /// Exhaustion further away than this many seconds (30 days) does not matter.
    pub horizon_s: f64,
    /// Share of what the ceiling lost meanwhile that the growth makes up: below it the process is
    /// a bystander to another's leak.
    pub least_share: f64,
    /// Headroom below this share of the limit counts as this much: near the end of memory every
    /// small growth would seem urgent.
    pub least_headroom: f64,
    /// Growth of a number of children below this many does not count.
    pub least_children: f64,
    /// Seconds and samples of a window below which nothing is proven.
    pub proof_s: f64,
    /// See there.
    pub proof_samples: u32,
    /// Share of the way to the ceiling times doublings of the evidence, in samples and seconds, that
    /// prove a leak by long steady growth. A straight fill that is not over and a leak are one curve,
    /// so this is a price: at 3.7, 3.9, 4.1, 4.3 and 4.5, on 24 seeds of 33 generated families, healthy cases
    /// named .21, .18, .17, .16 and .14, recall .97, .96, .95, .94 and .93.
    pub proof: f64,
    /// As many times more where the growth bends as one that saturates does, or ends an S, ...
    pub bent_proof: f64,
    /// ... speeds up, or comes in fewer than so many steps of equal size: below 1.2 one of three slow
    /// warm-ups is called a leak, above 2 half of the leaks that speed up are missed, ...
    pub curved_proof: f64,
    /// See there.
    pub many_steps: f64,
    /// ... and as many times more, which is less, after a level that was held: a second fill or
    /// warm-up leaves one too. From 0 to .8: healthy cases named .29 to .19 on generated families that
    /// have them, and no leak less, ...
    pub settled_proof: f64,
    /// ... and for each core that it used on average since it was seen to start, ...
    pub work_proof: f64,
    /// ... or is a store's, which fills the memory that it was given.
    pub store_proof: f64,
    /// A program may hold this many times the size that its command line allows it, ...
    pub declared_margin: f64,
    /// ... and as many bytes for its code, stacks and buffers.
    pub declared_more: f64,
    /// Least growth in a window of that length to come, as a share of what is left.
    pub least_reach: f64,
    /// Share of the way from which on the end is near: what fits its memory settles below.
    pub near_end: f64,
    /// Share of the block minima that are distinct: fewer are a staircase.
    pub distinct: f64,
    /// Steps of equal size that are as uneven as those of the growth.
    pub least_steps: f64,
    /// A level counts as held after so many seconds, ...
    pub held_s: f64,
    /// ... this share of the process's life, ...
    pub held_life: f64,
    /// ... and this many times as long as the growth since: the slow beginning of a warm-up holds a
    /// level too, but not for long, ...
    pub held_longer: f64,
    /// ... once it has been left for this share of the time that it was held: a second fill or warm-up
    /// bends, or ends, sooner. From .25 to .4: healthy cases named .30 to .26 on generated families,
    /// and no leak less, ...
    pub held_since: f64,
    /// ... by so many steps of a twentieth, ...
    pub held_steps: u8,
    /// ... and to so many times its size.
    pub held_growth: f64,
    /// Growth to so many times more than its lowest size outgrows a process, in so many seconds ...
    pub outgrown: f64,
    /// See there.
    pub outgrown_s: f64,
    /// ... and samples.
    pub outgrown_samples: u32,
    /// At least so many siblings' worth of growth is growth alike, ...
    pub alike: f64,
    /// ... which outgrows them all once it is this share of themselves.
    pub alike_growth: f64,
    /// Memory is plentiful while a window of that length takes no more than this share of it.
    pub far_reach: f64,
    /// Memory that ends within so many seconds ends soon enough to matter.
    pub soon_s: f64,
    /// CPU use in the last third of a window, over that in the first, from which on work may explain
    /// the growth.
    pub more_work: f64,
    /// Growth that lasts for so many seconds, a whole period of daily load, ...
    pub day_s: f64,
    /// ... in so many samples, ...
    pub day_samples: u32,
    /// ... by this share of itself is a leak: jobs are over by then, and daily load has come and gone.
    pub day_growth: f64,
    /// Cores used on average since its start from which on a process works on a job.
    pub busy: f64,
    /// Share of its life that a task rests before it exits.
    pub rested: f64,
    /// Share of the way that one of several siblings must have used to be told from the others, ...
    pub sibling_used: f64,
    /// ... and how many times as large as the largest that rests it must be: one that warms up later
    /// than they did only catches up.
    pub sibling_size: f64,
    /// The present run may be this many times as large and as old as an earlier one that explains
    /// its growth.
    pub earlier_run_margin: f64,
    /// Samples that a run must have lasted to be remembered.
    pub run_samples: u32,
    /// A run that ended with less than this share of the ceiling left is not remembered: it may
    /// have been the OOM killer's victim.
    pub run_headroom: f64,
}

impl Default for Constants {
    fn default() -> Self {
        Self {
            max_extrapolation: 6.0,
            least_growth: 262_144.0,
            second_half: 0.8,
            final_pace: 0.5,
            fall_factor: 1.25,
            passes: 2,
            samples: 120,
            hasty_samples: 48,
            few_samples: 16,
            few_growth: 0.02,
            slight_growth: 0.005,
            slight_reach: 150.0,
            patient_life: 0.5,
            patient_growth: 0.5,
            horizon_s: 30.0 * 86_400.0,
            least_share: 0.3,
            least_headroom: 0.1,
            least_children: 3.0,
            proof_s: 90.0,
            proof_samples: PROOF_SAMPLES,
            proof: 4.2,
            bent_proof: 2.5,
            curved_proof: 1.3,
            many_steps: 8.0,
            settled_proof: 0.8,
            work_proof: 2.0,
            store_proof: 4.0,
            declared_margin: 1.25,
            declared_more: 64.0 * 1_048_576.0,
            least_reach: 0.1,
            near_end: 0.8,
            distinct: 0.4,
            least_steps: 4.0,
            held_s: 60.0,
            held_life: 0.25,
            held_longer: 0.75,
            held_since: 0.4,
            held_steps: 4,
            held_growth: 1.3,
            outgrown: 5.0,
            outgrown_s: 130.0,
            outgrown_samples: 48,
            alike: 1.8,
            alike_growth: 0.5,
            far_reach: 0.015,
            soon_s: SOON_S,
            more_work: 1.2,
            day_s: 86_400.0,
            day_samples: 48,
            day_growth: 0.25,
            busy: 0.6,
            rested: 0.1,
            sibling_used: 0.1,
            sibling_size: 1.25,
            earlier_run_margin: 1.25,
            run_samples: 6,
            run_headroom: 0.05,
        }
    }
}
