//! Notes: what else matters about a change.

use super::AdvisedService;
use super::compute::Proposal;
use super::drop_in::option;
use super::edits::Planned;
use crate::core::model::units::Bytes;

impl AdvisedService<'_> {
    /// Settings that the diff cannot change, since they are on the command line.
    pub(super) fn note_typed(&self, planned: &[Planned<'_>]) -> Option<String> {
        let typed = planned.iter().filter(|planned| planned.is_typed());
        let typed = typed.map(|planned| format!("{} {}", planned.setting.name(), planned.now));
        let typed = typed.collect::<Vec<_>>().join(", ");
        (!typed.is_empty()).then(|| format!("{typed}: this is set on the command line, which overrides the file; change it there (`systemctl cat` shows a unit's) and restart"))
    }

    /// How to start a server that has neither a file nor a unit.
    pub(super) fn note_command_line(&self, planned: &[Planned<'_>]) -> Option<String> {
        self.advice.environment?;
        let options: Vec<String> = planned.iter().map(option).collect();
        Some(format!("its command line configures it: start it again with {}", options.join(" ")))
    }

    /// What to check where requests had to be guessed, and how to have them counted.
    pub(super) fn note_guess(&self, proposal: &Proposal) -> Option<String> {
        let (inputs, values) = proposal.computed?;
        let waits = proposal.guessed_waits?;
        let rate = inputs.rate.map_or(String::new(), |rate| format!(" ({rate:.1} a second)"));
        Some(format!(
            "requests could not be counted: their number{rate} is guessed from how often workers wait, {waits:.0} times for each. Compare it with the access log: if there are half as many, halve {name}, and if workers end far larger than {full}, lower it in proportion. To have them counted, {how}",
            name = self.setup.recycle.name(),
            full = Bytes(values.full as u64),
            how = self.advice.count_requests,
        ))
    }

    /// What a connection carries, where the recycle setting counts connections.
    pub(super) fn note_connections(&self, planned: &[Planned<'_>]) -> Option<String> {
        let name = self.setup.recycle.name();
        let changes = planned.iter().any(|planned| planned.setting.name() == name);
        if !self.advice.counts_connections || !self.setup.keep_alive || !changes {
            return None;
        }
        Some(match self.readings.and_then(|readings| readings.per_connection) {
            Some(k) => {
                format!(
                    "{name} counts connections, which carry {k:.1} requests each now (KeepAlive)"
                )
            }
            None => format!(
                "{name} counts connections; with KeepAlive one may carry many requests, so watch the size of old workers and lower the value if they grow larger than said here"
            ),
        })
    }
}
