//! Chart: a line over time as SVG, with the end that it runs to.

use crate::core::model::units::{Bytes, Seconds};
use crate::diagnose::report::Times;
use crate::diagnose::size_history::Point;
use crate::report::escape::Html;
use std::fmt::Write as _;
use std::io::{self, Write};

/// A moment marked by an upright line.
pub(super) struct Mark {
    pub(super) t: f64,
    pub(super) text: String,
}

/// What is drawn.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) points: Vec<Point>,
    /// The most there can be, for the scale.
    pub(super) limit: Option<f64>,
    /// Seconds from the last point until nothing is left: earliest, likely, latest.
    pub(super) ends: Option<(f64, f64, f64)>,
    pub(super) marks: Vec<Mark>,
    pub(super) large: bool,
}

/// Where data is drawn: the outer size and the margins (left, right, top, bottom).
struct Frame {
    size: (f64, f64),
    margin: (f64, f64, f64, f64),
    t: (f64, f64),
    top: f64,
}

impl Frame {
    fn x(&self, t: f64) -> f64 {
        let (left, right, ..) = self.margin;
        let width = self.size.0 - left - right;
        left + width * ((t - self.t.0) / (self.t.1 - self.t.0).max(1e-9)).clamp(0.0, 1.0)
    }

    fn y(&self, bytes: f64) -> f64 {
        let (.., top, bottom) = self.margin;
        let height = self.size.1 - top - bottom;
        top + height * (1.0 - (bytes / self.top.max(1.0)).clamp(0.0, 1.0))
    }
}

/// The future shown is at most so many times the past: a far end would squeeze what was seen.
const FUTURE: f64 = 4.0;
/// Marks with words in the large picture.
const MOST_MARKS: usize = 6;

impl Chart {
    /// Writes it, or nothing where there is too little to draw.
    pub(super) fn write(&self, out: &mut impl Write, times: &Times) -> io::Result<()> {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return Ok(());
        };
        if self.points.len() < 3 {
            return Ok(());
        }
        let past = (last.0 - first.0).max(1.0);
        let shown = self
            .ends
            .map(|(_, likely, latest)| latest.min(FUTURE * past).max(likely.min(FUTURE * past)));
        let future = shown.map_or(0.0, |shown| shown * 1.08);
        let high = self.points.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
        let top = match self.limit {
            Some(limit) if limit < 2.5 * high => limit,
            _ => high * 1.1,
        };
        let (size, margin) = match self.large {
            true => ((960.0, 300.0), (70.0, 16.0, 16.0, 42.0)),
            false => ((320.0, 110.0), (58.0, 8.0, 10.0, 22.0)),
        };
        let frame = Frame { size, margin, t: (first.0, last.0 + future), top: nice(top) };
        let class = if self.large { "large" } else { "small" };
        if self.large {
            // On a narrow screen it is moved aside rather than made too small to read.
            writeln!(out, "<div class=\"wide\">")?;
        }
        let from = format!("from {} to {}", Bytes(first.1 as u64), Bytes(last.1 as u64));
        writeln!(
            out,
            "<svg class=\"{class}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n<title>{}</title>\n\
             <desc>{}: {from} in {}</desc>",
            size.0,
            size.1,
            Html(&self.title),
            Html(&self.title),
            Html(&self.title),
            Seconds(past)
        )?;
        self.axes(out, &frame, times)?;
        self.ahead(out, &frame, times, *last)?;
        let mut line = String::new();
        for (t, bytes) in &self.points {
            let _ = write!(line, "{:.1},{:.1} ", frame.x(*t), frame.y(*bytes));
        }
        let (x0, x1, ground) = (frame.x(first.0), frame.x(last.0), frame.y(0.0));
        writeln!(
            out,
            "<polygon class=\"area\" points=\"{x0:.1},{ground:.1} {line}{x1:.1},{ground:.1}\"/>\n\
             <polyline class=\"past\" points=\"{}\"/>",
            line.trim_end()
        )?;
        self.marked(out, &frame)?;
        writeln!(out, "</svg>{}", if self.large { "</div>" } else { "" })?;
        self.legend(out)
    }

    fn axes(&self, out: &mut impl Write, frame: &Frame, times: &Times) -> io::Result<()> {
        let (left, right, ..) = frame.margin;
        let steps = if self.large { 4 } else { 1 };
        for step in 0..=steps {
            let bytes = frame.top * f64::from(step) / f64::from(steps);
            let y = frame.y(bytes);
            writeln!(
                out,
                "<line class=\"axis\" x1=\"{left}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                frame.size.0 - right,
                left - 6.0,
                y + 4.0,
                Bytes(bytes as u64)
            )?;
        }
        let y = frame.size.1 - if self.large { 24.0 } else { 5.0 };
        let ticks = if self.large { 6 } else { 1 };
        let span = frame.t.1 - frame.t.0;
        for tick in 0..=ticks {
            let t = frame.t.0 + span * f64::from(tick) / f64::from(ticks);
            let anchor = match tick {
                0 => "start",
                n if n == ticks => "end",
                _ => "middle",
            };
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
                frame.x(t),
                Html(times.tick(t, span))
            )?;
        }
        Ok(())
    }

    /// The band between the earliest and the latest end, and where it meets the ground.
    fn ahead(
        &self,
        out: &mut impl Write,
        frame: &Frame,
        times: &Times,
        last: Point,
    ) -> io::Result<()> {
        let Some((earliest, likely, latest)) = self.ends else { return Ok(()) };
        // Where a line to an end leaves the picture, it is cut there.
        let until = |s: f64| {
            let seen = frame.t.1 - last.0;
            let share = (seen / s.max(1e-9)).min(1.0);
            (frame.x(last.0 + s * share), frame.y(last.1 * (1.0 - share)))
        };
        let (x, y) = (frame.x(last.0), frame.y(last.1));
        let (early, late, mid) = (until(earliest), until(latest), until(likely));
        let corner = if latest > frame.t.1 - last.0 {
            format!("{:.1},{:.1} ", frame.x(frame.t.1), frame.y(0.0))
        } else {
            String::new()
        };
        writeln!(
            out,
            "<polygon class=\"band\" points=\"{x:.1},{y:.1} {:.1},{:.1} {:.1},{:.1} {corner}{:.1},{:.1}\"/>\n\
             <line class=\"fit\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>\n\
             <line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\n\
             <text class=\"strong\" x=\"{:.1}\" y=\"{:.1}\">now</text>",
            late.0,
            late.1,
            late.0,
            late.1,
            early.0,
            early.1,
            mid.0,
            mid.1,
            frame.y(frame.top),
            frame.y(0.0),
            x + 4.0,
            frame.y(frame.top) + 12.0
        )?;
        if likely <= frame.t.1 - last.0 {
            let (x, ground) = (mid.0, frame.y(0.0));
            let anchor = if x > 0.8 * frame.size.0 { "end" } else { "start" };
            let shift = if anchor == "end" { -6.0 } else { 6.0 };
            writeln!(
                out,
                "<line class=\"cross\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\n\
                 <text class=\"strong\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">nothing left: {}</text>",
                ground - 60.0,
                ground + 5.0,
                x + shift,
                ground - 50.0,
                Html(times.soon(last.0 + likely))
            )?;
        }
        Ok(())
    }

    fn marked(&self, out: &mut impl Write, frame: &Frame) -> io::Result<()> {
        let inside = self.marks.iter().filter(|mark| (frame.t.0..=frame.t.1).contains(&mark.t));
        for (nth, mark) in inside.take(MOST_MARKS * 4).enumerate() {
            let x = frame.x(mark.t);
            writeln!(
                out,
                "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"><title>{}</title></line>",
                frame.y(frame.top),
                frame.y(0.0),
                Html(&mark.text)
            )?;
            if self.large && nth < MOST_MARKS {
                let end = x > 0.6 * frame.size.0;
                let (anchor, shift) = if end { ("end", -4.0) } else { ("start", 4.0) };
                let y = frame.y(frame.top) + 26.0 + 15.0 * nth as f64;
                let text: String = mark.text.chars().take(60).collect();
                writeln!(
                    out,
                    "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
                    x + shift,
                    Html(text)
                )?;
            }
        }
        Ok(())
    }

    fn legend(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.large {
            return Ok(());
        }
        let ahead = match self.ends {
            Some(_) => {
                " Dashed: the likely course; shaded: between the earliest and the latest end."
            }
            None => "",
        };
        writeln!(out, "<p class=\"facts\">Solid line: what was left.{ahead}</p>")
    }
}

/// The next round number of bytes above, for the scale.
fn nice(bytes: f64) -> f64 {
    let below = |base: f64, value: f64| {
        std::iter::successors(Some(1.0), |power| Some(power * base))
            .take_while(|power| *power <= value)
            .fold(1.0, f64::max)
    };
    let unit = below(1024.0, bytes);
    let value = bytes / unit;
    let power = below(10.0, value);
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= value * 0.9999);
    step.unwrap_or(10.0) * power * unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn svg(chart: &Chart) -> String {
        let times = Times { zone: TimeZone::UTC, now_t: 1_795_514_400.0 };
        let mut out = Vec::new();
        chart.write(&mut out, &times).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hostile_titles_and_marks_stay_text() {
        let hostile = "</svg><script>alert(1)</script>\" onload=\"x";
        let points = (0..50).map(|n| (1_795_514_400.0 + f64::from(n), 1e6)).collect();
        let marks = vec![Mark { t: 1_795_514_410.0, text: hostile.to_owned() }];
        let chart = Chart {
            title: hostile.to_owned(),
            points,
            limit: None,
            ends: None,
            marks,
            large: true,
        };
        let svg = svg(&chart);
        assert!(!svg.contains("<script") && !svg.contains("\" onload"), "{svg}");
        assert_eq!(svg.matches("</svg>").count(), 1);
    }

    proptest! {
        #[test]
        fn every_number_in_the_picture_is_inside_it(bytes in prop::collection::vec(0.0..1e12_f64, 3..50), ends in prop::option::of((0.0..1e9_f64, 0.0..1e9_f64, 0.0..1e9_f64)), limit in prop::option::of(1.0..1e13_f64)) {
            let points = bytes.iter().enumerate().map(|(n, b)| (1_795_514_400.0 + n as f64, *b)).collect();
            let ends = ends.map(|(a, b, c)| { let mut e = [a, b, c]; e.sort_by(f64::total_cmp); (e[0], e[1], e[2]) });
            let svg = svg(&Chart { title: "x".into(), points, limit, ends, marks: Vec::new(), large: true });
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
            for part in svg.split("points=\"").skip(1) {
                let list = part.split('"').next().unwrap();
                for pair in list.split_whitespace() {
                    let (x, y) = pair.split_once(',').unwrap();
                    let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                    prop_assert!((0.0..=960.0).contains(&x) && (0.0..=300.0).contains(&y));
                }
            }
        }
    }
}
