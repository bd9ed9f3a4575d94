//! What a person sees while the demo runs: a picture that is drawn again in place on a terminal, else a line a second.
//! Where the reader has gone, nothing is said any more, and the demo goes on.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::Duration;

use super::watch::{Picture, ServicePicture};
use crate::output::{OutputArgs, wants_colour};
use crate::paint::{Paint, ms, thousands};

const BAR: usize = 40;

/// Where progress goes, and how.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    is_live: bool,
    pub paint: Paint,
    /// Lines of the picture that stands on the terminal now.
    drawn: usize,
    last: (Duration, u64),
    rate: f64,
}

impl Screen {
    /// Progress on standard output, or on standard error where the output is for machines.
    pub(crate) fn open(args: OutputArgs) -> Self {
        let (out, is_terminal): (Box<dyn Write + Send>, bool) = if args.json {
            (Box::new(stderr()), stderr().is_terminal())
        } else {
            (Box::new(stdout()), stdout().is_terminal())
        };
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_live = is_terminal && !is_dumb;
        Self {
            out,
            is_live,
            paint: Paint { on: is_live && wants_colour(args.no_color) },
            drawn: 0,
            last: (Duration::ZERO, 0),
            rate: 0.0,
        }
    }

    /// How often a picture is wanted.
    pub(crate) fn every(&self) -> Duration {
        if self.is_live { Duration::from_millis(200) } else { Duration::from_secs(1) }
    }

    /// A line that stays.
    pub(crate) fn say(&mut self, line: &str) {
        self.wipe();
        let _ = writeln!(self.out, "{line}");
        let _ = self.out.flush();
    }

    /// The picture as it is now.
    pub(crate) fn draw(&mut self, phase: &str, picture: &Picture) {
        self.measure(picture);
        if !self.is_live {
            let line = plain(phase, picture, self.rate);
            return self.say(&line);
        }
        let lines = self.lines(phase, picture);
        self.wipe();
        // Without line wrap a narrow terminal cuts lines and does not break the picture.
        let _ = write!(self.out, "\x1b[?25l\x1b[?7l{}\n\x1b[?7h", lines.join("\n"));
        let _ = self.out.flush();
        self.drawn = lines.len();
    }

    /// Takes the picture away and gives the terminal back as it was.
    pub(crate) fn end(&mut self) {
        self.wipe();
        if self.is_live {
            let _ = write!(self.out, "\x1b[?25h");
            let _ = self.out.flush();
        }
    }

    fn wipe(&mut self) {
        if self.drawn > 0 {
            let _ = write!(self.out, "\x1b[{}A\r\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// Events a second since the last picture, smoothed.
    fn measure(&mut self, picture: &Picture) {
        let (at, published) = (picture.elapsed, picture.published);
        let (before_at, before) = self.last;
        let seconds = at.saturating_sub(before_at).as_secs_f64();
        if seconds > 0.0 {
            let now = published.saturating_sub(before) as f64 / seconds;
            self.rate = if self.is_live { self.rate * 0.7 + now * 0.3 } else { now };
        }
        self.last = (at, published);
    }

    fn lines(&self, phase: &str, picture: &Picture) -> Vec<String> {
        let paint = self.paint;
        let share = picture.sent as f64 / picture.total.max(1) as f64;
        let full = (share * BAR as f64).round() as usize;
        let bar = format!("{}{}", paint.good("█".repeat(full)), paint.faint("░".repeat(BAR - full)));
        let outage = if picture.is_down { paint.bad("  the payment gateway is down") } else { String::new() };
        let mut lines = vec![
            String::new(),
            format!(
                "  {} {bar} {:>3.0} %  {:.0} s{outage}",
                paint.bold(format!("{phase:<10}")),
                share * 100.0,
                picture.elapsed.as_secs_f64()
            ),
            format!(
                "  {:<10} {} published, {}/s, p50 {}, p99 {}",
                "",
                thousands(picture.published),
                thousands(self.rate as u64),
                ms(picture.p50_us),
                ms(picture.p99_us)
            ),
            String::new(),
            paint.faint(format!(
                "  {:<22}{:>10}{:>10}{:>10}{:>14}{:>8}",
                "", "handled", "in hand", "retries", "dead letters", "lag"
            )),
        ];
        lines.extend(picture.services.iter().map(|service| self.service(service)));
        lines
    }

    fn service(&self, picture: &ServicePicture) -> String {
        let ServicePicture { service, counts, in_hand, lag, .. } = picture;
        let warm = |number: u64, width: usize| {
            let text = format!("{:>width$}", thousands(number));
            if number > 0 { self.paint.warm(text) } else { text }
        };
        let lag = lag.unsigned_abs();
        let lag = format!("{:>8}", thousands(lag));
        format!(
            "  {:<22}{:>10}{:>10}{}{}{lag}",
            service.name(),
            thousands(counts.handled),
            thousands(*in_hand as u64),
            warm(counts.retried, 10),
            warm(counts.dead_lettered, 14)
        )
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}

fn plain(phase: &str, picture: &Picture, rate: f64) -> String {
    let mut line = format!(
        "{:>5.1} s  {phase}: {} of {} sent, {} published, {rate:.0}/s, p99 {}",
        picture.elapsed.as_secs_f64(),
        picture.sent,
        picture.total,
        picture.published,
        ms(picture.p99_us)
    );
    for ServicePicture { service, counts, lag, .. } in &picture.services {
        let name = service.name().trim_end_matches("-service");
        line += &format!(" | {name}: {} handled, lag {lag}", counts.handled);
        if counts.retried > 0 {
            line += &format!(", {} retries", counts.retried);
        }
        if counts.dead_lettered > 0 {
            line += &format!(", {} dead letters", counts.dead_lettered);
        }
    }
    if picture.is_down {
        line += " | the payment gateway is down";
    }
    line
}
