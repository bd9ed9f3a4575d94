//! A chart as SVG: lines over seconds, with a grid and numbers people can read. It must never know what it shows.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;
const ROWS: usize = 4;

/// A line, with gaps where there is nothing.
pub(super) struct Line<'a> {
    pub name: &'a str,
    /// The class that gives it its colour.
    pub class: &'a str,
    pub values: Vec<Option<f64>>,
}

/// Lines over the same seconds, from zero up.
pub(super) fn chart(seconds: &[f64], unit: &str, lines: &[Line<'_>]) -> String {
    let highest = lines.iter().flat_map(|line| &line.values).flatten().copied().fold(0.0, f64::max);
    let top = ceiling(highest);
    let end = seconds.last().copied().unwrap_or(1.0).max(1.0);
    let (inner_width, inner_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x = |second: f64| LEFT + inner_width * second / end;
    let y = |value: f64| TOP + inner_height * (1.0 - value / top);
    let mut svg = String::new();
    // Writing to a text cannot fail.
    let _ = write!(svg, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#);
    for row in 0..=ROWS {
        let value = top * row as f64 / ROWS as f64;
        let at = y(value);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            number(value)
        );
    }
    for column in 0..=ROWS {
        let second = end * column as f64 / ROWS as f64;
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{second:.0} s</text>"#,
            x(second),
            HEIGHT - 8.0
        );
    }
    for line in lines {
        let mut path = String::new();
        let mut is_down = false;
        for (second, value) in seconds.iter().zip(&line.values) {
            match value {
                Some(value) => {
                    let step = if is_down { 'L' } else { 'M' };
                    let _ = write!(path, "{step}{:.1} {:.1} ", x(*second), y(*value));
                    is_down = true;
                }
                None => is_down = false,
            }
        }
        let _ = write!(
            svg,
            r#"<path class="line {}" d="{}"><title>{}</title></path>"#,
            line.class,
            path.trim_end(),
            line.name
        );
    }
    svg += "</svg>";
    let mut legend = String::new();
    for line in lines {
        let _ = write!(legend, r#"<span class="key {}"></span>{} "#, line.class, line.name);
    }
    format!(r#"<figure>{svg}<figcaption>{legend}<span class="unit">{unit}</span></figcaption></figure>"#)
}

/// The next of 1, 2, 5, 10, 20, … so that a grid of quarters has short numbers.
fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= value)
        .unwrap_or(power * 10.0)
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1_000_000.0 => format!("{}M", short(value / 1_000_000.0)),
        value if value >= 10_000.0 => format!("{}k", short(value / 1_000.0)),
        value => short(value),
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_chart_is_a_round_number_above_all_values() {
        for (value, top) in [
            (0.0, 1.0),
            (0.7, 0.8),
            (1.0, 1.0),
            (3.0, 4.0),
            (41.0, 50.0),
            (999.0, 1_000.0),
            (1_001.0, 2_000.0),
        ] {
            assert!((ceiling(value) - top).abs() < 1e-9, "{value}: {}", ceiling(value));
        }
        assert_eq!([0.25, 1_500.0, 12_500.0, 2_000_000.0].map(number), ["0.25", "1500", "12.5k", "2M"]);
    }

    #[test]
    fn a_gap_in_a_line_is_a_gap_in_its_path() {
        let line = Line { name: "lag", class: "a", values: vec![Some(1.0), None, Some(2.0), Some(2.0)] };
        let chart = chart(&[1.0, 2.0, 3.0, 4.0], "records", &[line]);
        let path = chart.split("d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
    }
}
