//! How long work goes, on a terminal and nowhere else. It must never be part of the answer.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use txova_kafka::Replay;

/// The replay, with a bar on standard error where that is a terminal.
pub(crate) fn shown(replay: Replay, is_live: bool) -> Replay {
    if !is_live {
        return replay;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {per_sec}, {eta} to go {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    replay.on_progress(move |report, picked| {
        bar.set_length(picked as u64);
        bar.set_position(report.done() + report.failed.len() as u64);
        if !report.failed.is_empty() {
            bar.set_message(format!("({} failed)", report.failed.len()));
        }
        if report.done() + report.failed.len() as u64 >= picked as u64 {
            bar.finish_and_clear();
        }
    })
}
