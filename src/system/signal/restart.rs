//! A restart of the unit whose main process an order names.
//!
//! The process is held by its directory in /proc from before systemd is asked whose it is until after: what
//! is then still alive with the same start time had its pid all the while.

use super::kernel::{HandleState, ProcDirectory, ProcessHandles};
use crate::core::model::order::Order;
use crate::core::model::signal::SignalFailure;
use crate::core::origin;
use crate::system::service_bus::{BusError, ServiceBus};
use regex_lite::Regex;
use rustix::io::Errno;

/// The object that stands for the manager.
const MANAGER: &str = "/org/freedesktop/systemd1";

/// Has systemd restart the unit of the order's target.
pub(super) fn unit_of(order: &Order, protect: &[Regex]) -> Result<(), SignalFailure> {
    let mut kernel = ProcDirectory;
    let pid = order.target.pid;
    let held = kernel.hold(pid).map_err(|_| SignalFailure::Gone)?;
    let is_protected = kernel.is_called(pid, |text| {
        let text = String::from_utf8_lossy(text);
        protect.iter().any(|re| re.is_match(&text))
    });
    let lives = |kernel: &mut ProcDirectory| match kernel.look(&held, pid) {
        Ok(HandleState { start, is_dead, .. }) => start == order.target.start && !is_dead,
        Err(_) => false,
    };
    if !lives(&mut kernel) {
        return Err(SignalFailure::Gone);
    }
    if is_protected {
        return Err(SignalFailure::Protected);
    }
    let mut bus = ServiceBus::connect().map_err(failure)?;
    let unit = bus.unit_by_pid(MANAGER, pid).map_err(failure)?;
    let name = bus.text(&unit, "org.freedesktop.systemd1.Unit", "Id").map_err(failure)?;
    let main = bus.number(&unit, "org.freedesktop.systemd1.Service", "MainPID").map_err(failure)?;
    if main != pid || !origin::is_restartable(&name) {
        return Err(SignalFailure::NoService);
    }
    if !lives(&mut kernel) {
        return Err(SignalFailure::Gone);
    }
    bus.restart(&unit).map_err(failure)
}

fn failure(error: BusError) -> SignalFailure {
    match error {
        BusError::Refused(name) if name.ends_with(".AccessDenied") => SignalFailure::NotPermitted,
        // It is in no unit, its unit has no main process, or refuses to be restarted by hand.
        BusError::Refused(_) => SignalFailure::NoService,
        BusError::Failed(Errno::ACCESS | Errno::PERM) => SignalFailure::NotPermitted,
        // No systemd runs here.
        BusError::Failed(Errno::NOENT | Errno::CONNREFUSED) => SignalFailure::NoService,
        BusError::Failed(errno) => SignalFailure::Failed(errno.raw_os_error()),
    }
}
