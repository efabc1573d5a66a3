//! Recording: samples in a file, one JSON object a line, to be judged again later or elsewhere.
//!
//! Line 1 is the [header](crate::core::model::sample::Header), every further line a sample:
//!
//! ```json
//! {"format":"leakwatch-recording","version":2,"interval_s":5,"clock_ticks":100,"page_size":4096,"hostname":"vps1"}
//! {"t":1700000000.5,"uptime":86400.2,"cpu":1234.5,
//!  "mem":{"total":1,"available":1,"swap_total":0,"swap_free":0,"commit_limit":1,"committed":1,"overcommit":2},
//!  "ceilings":[{"kind":"cgroup-memory","root":[800,12345],"place":"/system.slice/apache2.service","used":1,"limit":2}],
//!  "uses":[{"place":"/system.slice/apache2.service","kind":"shared-memory","part":"tmpfs /run","bytes":1}],
//!  "places":[{"place":"/system.slice/apache2.service","name":"apache2.service"}],
//!  "memory_failures":[{"kind":"refused","ceiling":"pids","root":[800,12345],"place":"/system.slice","count":1}],
//!  "procs":[{"pid":812,"ppid":800,"start":12399,"comm":"apache2","rss":1,"anon":1,"swap":0,"cpu":1.23,
//!            "exe":"/usr/sbin/apache2","title":"apache2 -k start","threads":1,"forked":true,"permitted":true,"uid":0,"unit":"apache2.service"}]}
//! ```
//!
//! (Each on a line of its own.) Sizes are bytes, times seconds; `t` increases strictly. Only `t`,
//! `mem.total`, `mem.available`, `procs` and of each process pid, ppid, start, comm and rss must be
//! there. Unknown fields are passed over, so that old readers read new recordings and the other
//! way round. `uptime` is seconds since boot, `cpu` the machine's busy seconds; `ceilings` are
//! limits, of the whole machine where they have no `root`, and `memory_failures` what the kernel refused
//! or killed since the sample before. `uses` is what uses memory, on the machine or below the limit of a cgroup, also
//! outside of processes, and `places` whose limits those of the cgroups are that are new in this sample;
//! version 1 had neither, nor the `unit` of a process. `span_s` comes with what is left of several samples that were joined as a
//! history was thinned: the seconds that it stands for. Commit figures count only where `overcommit` is 2, because only then
//! does the kernel enforce them. `exe`, `title`, `forked`, `permitted`, `uid` and `unit` come with a process's
//! first appearance only, `threads` wherever there are several.
//!
//! A command name is any bytes. Those that are not UTF-8 are written as `\uf780` to `\uf7ff`,
//! characters for private use that name the byte in their low half: any JSON reader takes them, and
//! they come back byte for byte. Lone surrogates `\udc80` to `\udcff`, which Python's
//! `surrogateescape` writes and strict readers refuse, are read as well.

pub mod apart;
mod read;
mod write;

pub use comm_text::CommText;
pub use read::{LONGEST_LINE, Reader, open, parse_header, parse_sample};
pub use write::Writer;

/// The value of the header's `format`.
const FORMAT: &str = "leakwatch-recording";

/// The version of the format that is written, and the highest that is read.
const VERSION: u32 = 2;

mod comm_text;
mod fast_parse;
mod raw_line;
#[cfg(test)]
mod tests;
