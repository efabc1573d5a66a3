//! The head of the screen: what is left below the nearest ceilings, and for how long.

use super::super::line::{Ink, Line, ScreenStyle, cut_start};
use super::super::scene::{CeilingEnd, Scene};
use super::super::view::{Clock, View};
use crate::core::model::event::Severity;
use crate::core::model::forecast::Forecast;
use crate::core::model::units::{Amount, Rate, Seconds};
use crate::report::words::TimeOfDay;

/// Columns of the bar that shows what is left.
const BAR: usize = 12;
/// Columns of the bar that shows when it ends.
const BAND: usize = 30;
/// An end within so many seconds is red.
const NEAR_S: f64 = 300.0;

/// The first lines.
pub(super) fn head(view: &View, scene: &Scene, look: ScreenStyle) -> Vec<Line> {
    let columns = view.size.columns;
    let mut lines = vec![title(view, scene)];
    if let Clock::Recording { span, speed, is_seeking } = view.clock {
        lines.push(position(view, scene.t, span, (speed, is_seeking), look));
    }
    // A third of the screen at most.
    let most = (view.size.rows / 8).max(2);
    for (nth, row) in scene.ceilings.iter().take(most - 1).enumerate() {
        lines.push(left(row, nth == 0, columns, look));
        if let (0, end) = (nth, row.forecast) {
            lines.push(ends(end, columns, look));
        } else if let Some(forecast) = row.forecast
            && let Some(line) = lines.pop()
        {
            lines.push(line.ending_at(columns, ends(Some(forecast), 0, look)));
        }
    }
    lines
}

fn title(view: &View, scene: &Scene) -> Line {
    let ink = match scene.status {
        Severity::Critical => Ink::Bad,
        Severity::Leak => Ink::Soon,
        Severity::Fine => Ink::Good,
    };
    let time = TimeOfDay(scene.t).to_string().replace('T', " ");
    let line = Line::of(Ink::Strong, "leakwatch top")
        .and(Ink::Plain, "  ")
        .and(Ink::Plain, &scene.host)
        .and(Ink::Plain, "  ")
        .and(Ink::Faint, time)
        .and(Ink::Plain, "  ")
        .and(ink, &scene.summary);
    let state = match &view.clock {
        _ if view.is_paused => Line::of(Ink::Strong, "PAUSED"),
        Clock::Live { recording: Some(file), .. } => {
            Line::of(Ink::Soon, format!("recording to {file}"))
        }
        Clock::Live { next_s, .. } => Line::of(Ink::Faint, format!("every {}", Seconds(*next_s))),
        Clock::Recording { .. } => return line,
    };
    line.ending_at(view.size.columns, state)
}

/// Where in the recording this is.
fn position(
    view: &View,
    t: f64,
    (first_t, last_t): (f64, f64),
    (speed, is_seeking): (f64, bool),
    look: ScreenStyle,
) -> Line {
    let share = ((t - first_t) / (last_t - first_t).max(1e-9)).clamp(0.0, 1.0);
    let state = match () {
        () if is_seeking => "going there".to_owned(),
        () if t >= last_t => "at its end".to_owned(),
        () if view.is_paused => "paused".to_owned(),
        () => format!("played {speed}x as fast"),
    };
    Line::of(Ink::Plain, "recording  ").and_own(Ink::Plain, bar(share, 2 * BAR, look)).and(
        Ink::Plain,
        format!("  {} of {}, {state}", Seconds(t - first_t), Seconds(last_t - first_t)),
    )
}

/// What is left below a ceiling.
fn left(row: &CeilingEnd, is_first: bool, columns: usize, look: ScreenStyle) -> Line {
    let ceiling = row.ceiling;
    let unit = ceiling.kind.unit();
    let share = ceiling.headroom() as f64 / (ceiling.limit as f64).max(1.0);
    let ink = match row.forecast {
        Some(forecast) if is_near(&forecast) => Ink::Bad,
        Some(_) => Ink::Soon,
        None => Ink::Plain,
    };
    let what = if is_first { "nearest    " } else { "also       " };
    let (headroom, limit) = (Amount(ceiling.headroom(), unit), Amount(ceiling.limit, unit));
    let line = Line::of(Ink::Plain, what)
        .and_own(ink, bar(share, BAR, look))
        .and(ink, format!("  {headroom} of {limit} left"))
        .and(Ink::Plain, format!(" of {} ", ceiling.kind.title()));
    // Of a path the end tells most.
    let room = columns.saturating_sub(line.columns());
    line.and(Ink::Plain, cut_start(&ceiling.place.to_string(), room))
}

/// When a ceiling is reached, with the interval; drawn, too, where there is room.
fn ends(forecast: Option<Forecast>, columns: usize, look: ScreenStyle) -> Line {
    let Some(forecast) = forecast else {
        return Line::of(Ink::Faint, "           it does not come nearer steadily");
    };
    let Forecast { likely_s, earliest_s, latest_s, slope, window_s, ceiling, .. } = forecast;
    let runs_out = ceiling.effect().verb();
    let indent = if columns == 0 { "" } else { "           " };
    if !forecast.is_reliable() {
        let text =
            format!("{indent}{runs_out}, but not within 8x the {} observed", Seconds(window_s));
        return Line::of(Ink::Soon, text);
    }
    let (likely, earliest, latest) = (Seconds(likely_s), Seconds(earliest_s), Seconds(latest_s));
    let ink = if is_near(&forecast) { Ink::Bad } else { Ink::Soon };
    let line = Line::of(ink, format!("{indent}{runs_out} in {likely} ({earliest} to {latest})"))
        .and(Ink::Plain, format!(", {}", Rate(slope, ceiling.unit())));
    match columns.checked_sub(line.columns()) {
        Some(room) if room > BAND + 2 => {
            line.and(Ink::Plain, "  ").and_own(ink, band(earliest_s, likely_s, latest_s, look))
        }
        _ => line,
    }
}

fn is_near(forecast: &Forecast) -> bool {
    forecast.is_reliable() && forecast.earliest_s < NEAR_S
}

/// "[####--------]": the share that is full.
fn bar(share: f64, columns: usize, look: ScreenStyle) -> String {
    let full = (share.clamp(0.0, 1.0) * columns as f64).round() as usize;
    let (on, off) = if look.unicode { ("█", "░") } else { ("#", "-") };
    format!("[{}{}]", on.repeat(full), off.repeat(columns - full))
}

/// "now|......====|=====|": from now to the latest end; the band from the earliest, the mark at the
/// likely one.
fn band(earliest_s: f64, likely_s: f64, latest_s: f64, look: ScreenStyle) -> String {
    let columns = BAND - 5;
    let at =
        |s: f64| ((s / latest_s.max(1e-9)).clamp(0.0, 1.0) * (columns - 1) as f64).round() as usize;
    let (early, likely) = (at(earliest_s), at(likely_s));
    let (way, within, mark) = if look.unicode { ('·', '━', '┃') } else { ('.', '=', '|') };
    let cell = |column: usize| match column {
        column if column == likely => mark,
        column if column < early => way,
        _ => within,
    };
    let drawn: String = (0..columns).map(cell).collect();
    format!("now {drawn}")
}
