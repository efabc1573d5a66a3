//! What leakwatch itself uses, and how late its samples are.

use super::events::EventFormat;
use super::words::plural;
use crate::core::model::load::{Pressure, SelfUsage};
use crate::core::model::sample::Memory;
use crate::core::model::units::{Bytes, Seconds};
use crate::core::scheduling_delay::SchedulingDelay;
use std::fmt;
use std::io::{self, Write};

/// From this share of ten seconds on, in percent, in which some task waited, the pressure explains
/// a late sample: a machine that works stays below.
const PRESSED: f64 = 10.0;
/// Without pressures, less than this share of memory left explains it.
const LITTLE: f64 = 0.10;

/// leakwatch itself as it stands.
#[derive(Clone, Copy, Debug)]
pub struct SelfReport {
    /// What it uses.
    pub usage: SelfUsage,
    /// How late its samples are.
    pub scheduling_delay: SchedulingDelay,
}

impl SelfReport {
    /// CPU time so far as a share of one processor's.
    fn share(&self) -> f64 {
        self.usage.cpu_s / self.scheduling_delay.age_s().max(1.0)
    }

    /// Writes a line for people: "0.5 MiB anonymous, 1.9 MiB of files, ...".
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { usage: SelfUsage { cpu_s, anon, file }, scheduling_delay } = self;
        let (anon, file, share) = (Bytes(*anon), Bytes(*file), self.share() * 100.0);
        let (cpu, age) = (Seconds(*cpu_s), Seconds(scheduling_delay.age_s()));
        let samples = plural(scheduling_delay.samples(), "sample");
        write!(out, "leakwatch itself: {anon} anonymous, {file} of files; ")?;
        write!(out, "CPU {cpu} in {age}, {share:.2} % of one; ")?;
        let (last, worst) = (Short(scheduling_delay.last_s()), Short(scheduling_delay.worst_s()));
        writeln!(out, "{samples}, the last {last} late, the worst {worst}")
    }

    /// Writes the same as a record at `t`; nothing in a format for people, who get the line.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_record(
        &self,
        out: &mut impl Write,
        t: f64,
        format: EventFormat,
    ) -> io::Result<()> {
        let Self { usage: SelfUsage { cpu_s, anon, file }, scheduling_delay: delay } = self;
        let ms = |s: f64| fmt::from_fn(move |f| write!(f, "{s:.3}"));
        let Some(mut fields) = format.begin(out, "self", ms(t))? else { return Ok(()) };
        fields.value("anon_bytes", anon)?;
        fields.value("file_bytes", file)?;
        fields.value("cpu_s", ms(*cpu_s))?;
        fields.value("cpu_share", format_args!("{:.6}", self.share()))?;
        fields.value("age_s", ms(delay.age_s()))?;
        fields.value("samples", delay.samples())?;
        fields.value("delay_s", ms(delay.last_s()))?;
        fields.value("delay_max_s", ms(delay.worst_s()))?;
        fields.end()
    }
}

/// A sample that was late, and what is known of why.
#[derive(Clone, Copy, Debug)]
pub struct DelayedSample {
    /// By so many seconds.
    pub late_s: f64,
    /// What tasks waited for.
    pub pressure: Pressure,
    /// The machine's memory in that sample.
    pub memory: Memory,
}

impl DelayedSample {
    /// What tasks waited for most; memory first, since where memory is short they wait for disks too.
    fn cause(&self) -> LatenessCause {
        let Self { pressure: Pressure { memory, cpu, io }, memory: left, .. } = *self;
        let share = left.headroom() as f64 / (left.limit() as f64).max(1.0);
        let pressed = |kind: fn(f64) -> LatenessCause, percent: Option<f64>| {
            percent.filter(|percent| *percent >= PRESSED).map(kind)
        };
        let io = pressed(LatenessCause::Io, io).filter(|_| io >= cpu);
        match memory {
            None if share < LITTLE => LatenessCause::Little(share * 100.0),
            None => LatenessCause::Unknown,
            Some(_) => pressed(LatenessCause::Memory, memory)
                .or(io)
                .or(pressed(LatenessCause::Cpu, cpu))
                .unwrap_or(LatenessCause::Paused),
        }
    }

    /// Writes a line for people.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "leakwatch: the last sample was {} late: {}",
            Seconds(self.late_s),
            self.cause()
        )
    }

    /// Writes the same as a record at `t`; nothing in a format for people, who get the line.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_record(
        &self,
        out: &mut impl Write,
        t: f64,
        format: EventFormat,
    ) -> io::Result<()> {
        let record = format.begin(out, "sample_delayed", format_args!("{t:.3}"))?;
        let Some(mut fields) = record else { return Ok(()) };
        fields.value("delay_s", format_args!("{:.3}", self.late_s))?;
        let Pressure { memory, cpu, io } = self.pressure;
        for (name, percent) in [
            ("memory_pressure_percent", memory),
            ("cpu_pressure_percent", cpu),
            ("io_pressure_percent", io),
        ] {
            percent.map_or(Ok(()), |percent| fields.value(name, percent))?;
        }
        fields.word("why", self.cause().name())?;
        fields.end()
    }
}

/// Why a sample was late, with the percentage that shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum LatenessCause {
    Memory(f64),
    Io(f64),
    Cpu(f64),
    /// Little memory is left.
    Little(f64),
    Paused,
    Unknown,
}

impl LatenessCause {
    fn name(self) -> &'static str {
        match self {
            Self::Memory(_) | Self::Little(_) => "memory",
            Self::Io(_) => "io",
            Self::Cpu(_) => "cpu",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for LatenessCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(percent) => {
                write!(f, "the machine is stalling (memory pressure {percent:.0} %)")
            }
            Self::Io(percent) => write!(f, "the machine is stalling (I/O pressure {percent:.0} %)"),
            Self::Cpu(percent) => {
                write!(f, "the processors are overloaded (CPU pressure {percent:.0} %)")
            }
            Self::Little(percent) => {
                write!(f, "the machine is stalling ({percent:.0} % of memory left)")
            }
            Self::Paused => f.write_str(
                "it, or the machine, was paused: no task waits for memory, disks or processors",
            ),
            Self::Unknown => f.write_str(
                "the machine is stalling or was paused (cannot tell which without /proc/pressure)",
            ),
        }
    }
}

/// A time that is mostly below a second.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s if s < 0.9995 => write!(f, "{:.0} ms", s * 1e3),
            s => Seconds(s).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pressure: Pressure, available: u64) -> String {
        let memory = Memory { total: 100, available, ..Memory::default() };
        let mut out = Vec::new();
        DelayedSample { late_s: 7.3, pressure, memory }.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_late_sample_is_explained_by_the_pressure_that_shows_it() {
        let pressure =
            |memory, cpu, io| Pressure { memory: Some(memory), cpu: Some(cpu), io: Some(io) };
        for (pressure, available, why) in [
            (pressure(43.0, 90.0, 95.0), 50, "the machine is stalling (memory pressure 43 %)"),
            (pressure(3.0, 20.0, 61.0), 50, "the machine is stalling (I/O pressure 61 %)"),
            (pressure(3.0, 88.0, 61.0), 50, "the processors are overloaded (CPU pressure 88 %)"),
            (pressure(0.4, 2.0, 1.0), 5, "it, or the machine, was paused"),
            (Pressure::default(), 5, "the machine is stalling (5 % of memory left)"),
            (Pressure::default(), 50, "cannot tell which without /proc/pressure"),
        ] {
            let line = line(pressure, available);
            assert!(line.starts_with("leakwatch: the last sample was 7.3 s late: "), "{line}");
            assert!(line.contains(why), "{line}");
        }
    }

    #[test]
    fn people_and_programs_get_the_same_self_report() {
        let mut scheduling_delay = SchedulingDelay::new(0.0);
        scheduling_delay.observe(5.0, 5.4);
        scheduling_delay.observe(3300.0, 3300.004);
        let usage = SelfUsage { cpu_s: 1.32, anon: 480 << 10, file: 1900 << 10 };
        let own = SelfReport { usage, scheduling_delay };
        let mut out = Vec::new();
        own.write(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "leakwatch itself: 480 KiB anonymous, 1.9 MiB of files; CPU 1.3 s in 55 min, 0.04 % of one; \
             2 samples, the last 4 ms late, the worst 400 ms\n"
        );
        let mut out = Vec::new();
        own.write_record(&mut out, 1e9, EventFormat::Json).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        for (key, value) in [
            ("event", serde_json::json!("self")),
            ("anon_bytes", (480 << 10).into()),
            ("cpu_share", 0.0004.into()),
            ("samples", 2.into()),
            ("delay_max_s", 0.4.into()),
        ] {
            assert_eq!(json[key], value, "{key} in {json}");
        }
    }
}
