//! Requests: which one leaks, in a sentence.

use crate::core::model::units::Bytes;
use crate::core::requests::{Answer, Culprit};
use crate::diagnose::Diagnosis;
use crate::diagnose::requests::RequestFinding;
use crate::diagnose::services::service::{Service, ServiceVerdict};
use crate::report::escape::Plain;

/// "GET /cart leaks about 57 KiB a request (52 KiB to 63 KiB), 84 % of the growth of these workers, ..: sure." Or
/// what to log so that this can be told; nothing where it cannot be told yet.
pub fn request(diagnosis: &Diagnosis, service: &Service) -> Option<String> {
    let found = diagnosis.requests_of(service)?;
    sentence(found, service.verdict, diagnosis.changes_log_of(service))
}

fn sentence(found: &RequestFinding, verdict: ServiceVerdict, is_changed: bool) -> Option<String> {
    use ServiceVerdict::{Slight, Suspect, TooSlow, Unclear, Warming, WithLoad};
    let is_suspect = verdict.accuses() || verdict == Suspect;
    let is_excused = matches!(verdict, Warming | WithLoad);
    if let Answer::Named(culprit) = &found.answer {
        let is_slow = matches!(verdict, Slight(_) | TooSlow(_));
        let is_sure = found.answer.is_sure();
        if !(is_suspect || verdict == Unclear || is_sure && (is_excused || is_slow)) {
            return None;
        }
        let Culprit { request, bytes, between: (low, high), share, hits, confidence } = culprit;
        // Of a service that is not accused it is only told what was seen.
        let leaks = if is_suspect { "leaks" } else { "keeps" };
        let size = |bytes: f64| Bytes(bytes.max(0.0) as u64);
        return Some(format!(
            "{} {leaks} about {} a request ({} to {}), {:.0} % of the growth of these workers, in {hits} \
             of {} requests: {}.",
            Plain(request),
            size(*bytes),
            size(*low),
            size(*high),
            100.0 * share,
            found.requests,
            confidence.name()
        ));
    }
    let how = match is_changed {
        true => "a change that does this is below",
        false => found.server.advice?.pid_in_log?.how,
    };
    found.wants_pid(verdict).then(|| {
        format!(
            "Which request leaks can be told where the access log names the worker's pid: {how}."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::ProcId;
    use crate::core::requests::{Confidence, NotYet};
    use crate::core::servers;
    use crate::diagnose::evidence::access::LogNature;

    fn found(answer: Answer, nature: LogNature) -> RequestFinding {
        let root = ProcId { pid: 7, start: 1 };
        let server = servers::by_key("gunicorn").unwrap();
        RequestFinding {
            root,
            server,
            logs: Vec::new(),
            without_pid: Vec::new(),
            nature,
            requests: 2300,
            answer,
        }
    }

    #[test]
    fn the_request_is_named_with_its_bytes_interval_and_share() {
        let culprit = Culprit {
            request: "GET /cart\u{202e}".to_owned(),
            bytes: 57.0 * 1024.0,
            between: (52.0 * 1024.0, 63.0 * 1024.0),
            share: 0.84,
            hits: 288,
            confidence: Confidence::Sure,
        };
        let found = found(Answer::Named(culprit), LogNature::WithPid);
        assert_eq!(
            sentence(&found, ServiceVerdict::Leaks, false).unwrap(),
            "GET /cart\\u{202e} leaks about 57 KiB a request (52 KiB to 63 KiB), 84 % of the growth of these workers, in 288 of 2300 requests: sure."
        );
        let excused = sentence(&found, ServiceVerdict::Warming, false).unwrap();
        assert!(excused.contains("keeps about 57 KiB"), "{excused}");
        assert_eq!(sentence(&found, ServiceVerdict::Flat, false), None);
    }

    #[test]
    fn what_to_log_is_said_where_that_is_missing_and_something_may_leak() {
        let with = |nature| found(Answer::NotYet(NotYet::TooLittle), nature);
        let told = sentence(&with(LogNature::WithoutPid), ServiceVerdict::Suspect, false).unwrap();
        let changed =
            sentence(&with(LogNature::WithoutPid), ServiceVerdict::Suspect, true).unwrap();
        assert!(changed.ends_with("pid: a change that does this is below."), "{changed}");
        assert!(told.contains("pid: set accesslog, and access_log_format = '%(h)s"), "{told}");
        assert_eq!(sentence(&with(LogNature::WithPid), ServiceVerdict::Suspect, false), None);
        assert_eq!(sentence(&with(LogNature::WithoutPid), ServiceVerdict::Flat, false), None);
    }
}
