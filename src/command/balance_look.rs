//! A look at where memory is: readings of a machine's balance over some time.

use crate::cli::options::SelectOptions;
use crate::core::balance::Balance;
use crate::core::model::sample::Sample;
use crate::system::balance::BalanceReader;

/// Takes the readings.
pub(super) struct BalanceLook {
    reader: BalanceReader,
    /// What they show.
    pub(super) balance: Balance,
    /// Whether the cgroups of the processes have sheets of their own.
    with_cgroups: bool,
}

impl BalanceLook {
    /// Before the first of readings that are planned every `interval_s` seconds. The cgroups of
    /// selected processes count by themselves too.
    pub(super) fn new(select: &SelectOptions, interval_s: f64) -> Self {
        let reader = BalanceReader::new(&select.procfs, select.sysfs.as_deref());
        let balance = Balance::new(reader.page_size(), interval_s);
        Self { reader, balance, with_cgroups: !select.is_empty() }
    }

    /// Reads the counters at the time of a sample, with the cgroups of its processes.
    pub(super) fn read(&mut self, sample: &Sample) {
        let all: &[_] = if self.with_cgroups { &sample.procs } else { &[] };
        let pids: Vec<u32> = all.iter().map(|proc| proc.id.pid).collect();
        self.balance.push(sample.t, self.reader.read(&pids));
    }

    /// Reads what is costly, as long as `go_on` says so.
    pub(super) fn read_details(&mut self, t: f64, go_on: &mut dyn FnMut() -> bool) {
        self.balance.push_details(t, self.reader.details(go_on));
    }
}
