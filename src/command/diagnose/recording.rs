//! A recording that is judged beside a look, or alone.

use crate::core::engine::Engine;
use crate::core::model::sample::Sample;
use crate::diagnose::earlier::histories::judge;
use crate::diagnose::earlier::series::{EarlierSeries, SeriesSource, ServiceRoots};
use crate::diagnose::observer::Observer;
use crate::diagnose::{Diagnosis, Looked};
use crate::store::recording::apart::ReaderApart;
use crate::system::machine;
use anyhow::Result;
use std::path::Path;

/// A recording is judged beside the look if its boot was at the same time, give or take so much.
const SAME_BOOT_S: f64 = 60.0;

/// A recording, read as far as its first sample.
pub(super) struct Recording {
    name: String,
    reader: ReaderApart,
    first: Option<Sample>,
}

impl Recording {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut reader = ReaderApart::open(path)?;
        let mut first = Sample::default();
        let first = reader.read(&mut first)?.then_some(first);
        Ok(Self { name: path.display().to_string(), reader, first })
    }

    /// Whether it is of this machine and of this boot, which began at that time.
    pub(super) fn goes_on(&self, boot_t: f64) -> bool {
        let first = self.first.as_ref();
        let of = first.and_then(|first| Some(first.t - first.uptime_s?));
        of.is_some_and(|of| (of - boot_t).abs() < SAME_BOOT_S)
            && self.reader.header().hostname == machine::header(1.0).hostname
    }

    /// Hands on its samples.
    fn read(self, mut each: impl FnMut(&Sample)) -> Result<()> {
        let Self { mut reader, first, .. } = self;
        let Some(mut sample) = first else { return Ok(()) };
        each(&sample);
        while reader.read(&mut sample)? {
            each(&sample);
        }
        Ok(())
    }

    /// Judges it beside the look, as far as it was before that.
    pub(super) fn judge(self, now_t: f64, roots: &ServiceRoots) -> Result<EarlierSeries> {
        let which = (SeriesSource::Recording, self.name.as_str());
        let mut earlier = EarlierSeries::new(which, self.reader.header(), judge(), &[]);
        self.read(|sample| {
            if sample.t < now_t {
                earlier.observe(sample, roots);
            }
        })?;
        Ok(earlier)
    }

    /// Judges it without a look.
    pub(super) fn judge_alone(self) -> Result<Diagnosis> {
        let header = self.reader.header().clone();
        let mut observer = Observer::recorded(Engine::new(&header, judge()), &header);
        let (mut first_t, mut last_t) = (None, 0.0);
        self.read(|sample| {
            observer.observe(sample);
            last_t = sample.t;
            first_t = first_t.or(Some(last_t));
        })?;
        let history_s = first_t.map_or(0.0, |first_t| last_t - first_t);
        let looked = Looked { history_s, ..Looked::default() };
        let mut diagnosis = observer.diagnose(&[], Default::default(), looked);
        diagnosis.host.1.clear();
        diagnosis.unseen.push("the recording is of another machine or of an earlier boot, so it was judged alone: no logs, no settings".to_owned());
        Ok(diagnosis)
    }
}
