//! Json: a diagnosis as one object, for programs.
//!
//! Schema 1:
//! - `t`, `host`, `status` (the exit status), `headline`;
//! - `observed`: `live_s`, `history_s`, `samples`, and `earlier`, the series from before the live samples:
//!   `source` (checks, recording), `name`, `interval_s`, `samples`, `from_t`, `to_t`, and how many
//!   `services` it judged;
//! - `memory`, `ceilings`, `memory_failures` (of the last minute);
//! - `services`, the most urgent first: `name`, `unit`, `server`, `roots`, `processes`, `workers`,
//!   `size_bytes`, `age_s`, `watched_s`, `verdict`, `reason`, `judged_by` (live, earlier), `headroom`,
//!   `series` ([t, bytes]), and where known `earlier` (`index` into `observed.earlier`, `span_s`),
//!   `growth` (`bytes_per_s`, `low`, `high`), `per_work` (`unit`, `bytes`, `low`, `high`, `basis`),
//!   `forecast` (seconds from `t`);
//! - `heaps`, of the largest processes: `pid`, `start`, `comm`, `root` (of its service), `looks`, `finding`,
//!   `census`, as `leakwatch census --format json` has them;
//! - `requests`, of the servers that hold most: `root` (of its service), `server`, `logs` (the files that its
//!   processes write), `log_has_pid` (null: too few requests yet), `requests` (seen), `answer` (sure, likely,
//!   not-yet), `reason` (why not yet) and `leaks`: `request` ("GET /p/#"), `bytes` a request with `low` and
//!   `high`, `share` of the growth, `hits`;
//! - `available` ([t, bytes]);
//! - `left_behind`: `piles` (processes of one program that pile up) and `unreaped` (parents that do
//!   not wait for their children), each with `ends_s` and `finding`;
//! - `balance`: `machine` and `cgroups`, the sheets of `leakwatch memory` (none of a recording);
//! - `logs`: `events`, `sources`, `bytes`, `took_s`, `since_t`, `unread`;
//! - `remedies`: `service`, `root`, `changes`, `computed`, `diff`, `apply`, `meaning`, `notes`;
//! - `next` (how to learn more: `why`, `command`), `unseen`.
//!
//! Text is as it was found, not escaped for a terminal.

use super::{Times, headline, left_behind, meaning, next, pace, reason};
use crate::core::model::forecast::Forecast;
use crate::core::requests::Answer;
use crate::diagnose::Diagnosis;
use crate::diagnose::earlier::series::{SeriesSource, SeriesSummary};
use crate::diagnose::findings::{LogEvent, WorkUnit};
use crate::diagnose::heaps::HeapFinding;
use crate::diagnose::leak_per_request::Basis;
use crate::diagnose::remedy::Remedy;
use crate::diagnose::requests::RequestFinding;
use crate::diagnose::services::service::{JudgedBy, Service};
use crate::report::balance;
use crate::report::census::{census_json, finding_json};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes it with its newline.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut impl Write, diagnosis: &Diagnosis, times: &Times) -> io::Result<()> {
    let (hostname, machine) = &diagnosis.host;
    let memory = &diagnosis.memory;
    let logs = &diagnosis.logs;
    let spans = diagnosis.earlier.iter().map(SeriesSummary::span_s);
    let history_s = spans.fold(diagnosis.looked.history_s, f64::max);
    let value = json!({
        "schema": 1,
        "t": diagnosis.t,
        "host": { "name": hostname, "machine": machine, "uptime_s": diagnosis.uptime_s },
        "status": diagnosis.status as u8,
        "headline": headline(diagnosis, times),
        "observed": {
            "live_s": diagnosis.looked.live_s,
            "history_s": history_s,
            "samples": diagnosis.looked.samples,
            "earlier": diagnosis.earlier.iter().map(earlier).collect::<Vec<_>>(),
        },
        "memory": {
            "total_bytes": memory.total,
            "available_bytes": memory.available,
            "swap_total_bytes": memory.swap_total,
            "swap_free_bytes": memory.swap_free,
        },
        "ceilings": diagnosis.ceilings.iter().map(|ceiling| {
            json!({
                "ceiling": ceiling.kind.name(), "place": ceiling.place.plain().to_string(),
                "used": ceiling.used, "limit": ceiling.limit,
            })
        }).collect::<Vec<_>>(),
        "memory_failures": diagnosis.memory_failures.iter().map(|sign| json!({
            "kind": sign.kind.name(), "ceiling": sign.ceiling.name(), "count": sign.count,
        })).collect::<Vec<_>>(),
        "services": diagnosis.services.iter().map(service).collect::<Vec<_>>(),
        "heaps": diagnosis.heaps.iter().map(heap).collect::<Vec<_>>(),
        "requests": diagnosis.requests.iter().map(requests).collect::<Vec<_>>(),
        "available": diagnosis.available,
        "left_behind": left_behind::json(&diagnosis.left_behind),
        "balance": diagnosis.sheet.as_ref().map(|sheet| json!({
            "machine": balance::json(sheet),
            "cgroups": diagnosis.cgroups.iter().map(balance::json).collect::<Vec<_>>(),
        })),
        "logs": {
            "events": logs.log_events.iter().map(log_event).collect::<Vec<_>>(),
            "sources": logs.sources,
            "bytes": logs.bytes,
            "took_s": logs.took_s,
            "since_t": logs.since_t,
            "unread": logs.unread,
        },
        "remedies": diagnosis.remedies.iter().map(remedy).collect::<Vec<_>>(),
        "next": next(diagnosis).iter().map(|(why, command)| json!({ "why": why, "command": command })).collect::<Vec<_>>(),
        "unseen": diagnosis.unseen,
    });
    serde_json::to_writer(&mut *out, &value)?;
    out.write_all(b"\n")
}

fn earlier(about: &SeriesSummary) -> Value {
    let source = match about.source {
        SeriesSource::Checks => "checks",
        SeriesSource::Recording => "recording",
    };
    let (from_t, to_t) = about.span;
    json!({
        "source": source, "name": about.name, "interval_s": about.interval_s,
        "samples": about.samples, "from_t": from_t, "to_t": to_t, "services": about.judged,
    })
}

fn service(service: &Service) -> Value {
    let growth = pace(service)
        .map(|(rate, low, high)| json!({ "bytes_per_s": rate, "low": low, "high": high }));
    let per_work = service.per_work.map(|per_work| {
        let unit = match per_work.unit {
            WorkUnit::Requests => "requests",
            WorkUnit::Waits => "waits",
        };
        let basis = match per_work.basis {
            Basis::Watched(_) => "watched",
            Basis::Compared(..) => "compared",
        };
        let (low, high) = per_work.between;
        json!({ "unit": unit, "bytes": per_work.bytes, "low": low, "high": high, "basis": basis })
    });
    let headroom = service.headroom;
    json!({
        "name": service.name,
        "unit": service.is_unit,
        "server": service.server.name,
        "roots": service.roots.iter().map(|id| json!({ "pid": id.pid, "start": id.start })).collect::<Vec<_>>(),
        "processes": service.processes,
        "workers": service.workers,
        "size_bytes": service.size as u64,
        "age_s": service.age_s,
        "watched_s": service.watched_s,
        "verdict": service.verdict.name(),
        "reason": reason(service),
        "judged_by": service.earlier.map_or(JudgedBy::Live, |before| before.judge).name(),
        "earlier": service.earlier.map(|before| json!({ "index": before.index, "span_s": before.span_s })),
        "growth": growth,
        "per_work": per_work,
        "forecast": service.forecast.as_ref().map(forecast),
        "headroom": {
            "ceiling": headroom.kind.name(),
            "place": headroom.place.plain().to_string(),
            "left": headroom.left,
            "limit": headroom.limit,
        },
        "series": service.points,
    })
}

fn heap(heap: &HeapFinding) -> Value {
    json!({
        "pid": heap.id.pid,
        "start": heap.id.start,
        "comm": heap.comm.to_string(),
        "root": { "pid": heap.root.pid, "start": heap.root.start },
        "looks": heap.looks,
        "finding": finding_json(&heap.finding, &heap.last),
        "census": census_json(&heap.last),
    })
}

fn requests(found: &RequestFinding) -> Value {
    let named = match &found.answer {
        Answer::Named(named) => Some(json!({
            "request": named.request,
            "bytes": named.bytes,
            "low": named.between.0,
            "high": named.between.1,
            "share": named.share,
            "hits": named.hits,
        })),
        Answer::NotYet(_) => None,
    };
    json!({
        "root": { "pid": found.root.pid, "start": found.root.start },
        "server": found.server.name,
        "logs": found.logs,
        "log_has_pid": found.nature.has_pid(),
        "requests": found.requests,
        "answer": found.answer.name(),
        "reason": found.answer.why_not(),
        "leaks": named,
    })
}

fn forecast(forecast: &Forecast) -> Value {
    json!({
        "ceiling": forecast.ceiling.name(),
        "effect": forecast.ceiling.effect().name(),
        "earliest_s": forecast.earliest_s,
        "likely_s": forecast.likely_s,
        "latest_s": forecast.latest_s,
        "reliable": forecast.is_reliable(),
    })
}

fn log_event(log_event: &LogEvent) -> Value {
    json!({
        "failure": log_event.failure.name(),
        "witness": log_event.witness.name(),
        "who": log_event.who,
        "uid": log_event.uid,
        "count": log_event.count,
        "first_t": log_event.first_t,
        "last_t": log_event.last_t,
        "source": log_event.source,
        "text": log_event.text,
    })
}

fn remedy(remedy: &Remedy) -> Value {
    let change = |change: &crate::diagnose::remedy::Change| {
        let file = change.file.as_ref();
        json!({
            "name": change.name,
            "was": change.computed.is_none().then_some(change.was),
            "computed": change.computed,
            "now": change.now,
            "file": file.map(|(file, _)| file),
            "line": file.and_then(|(_, line)| *line),
        })
    };
    json!({
        "service": remedy.service,
        "root": remedy.root.map(|id| json!({ "pid": id.pid, "start": id.start })),
        "changes": remedy.changes.iter().map(change).collect::<Vec<_>>(),
        "computed": remedy.computed.map(|(inputs, values)| json!({
            "leak_bytes": inputs.leak,
            "young_bytes": inputs.young,
            "requests_per_s": inputs.rate,
            "estimated": remedy.guessed_waits.is_some(),
            "memory_bytes": inputs.memory,
            "full_bytes": values.full,
            "workers": values.cap,
            "life_s": values.life_s,
        })),
        "diff": remedy.diff,
        "apply": remedy.apply,
        "meaning": meaning(remedy),
        "notes": remedy.notes,
    })
}
