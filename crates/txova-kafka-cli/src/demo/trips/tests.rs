//! How lines of the trips become trips, or are refused with their place.

use super::*;

const GOOD: &str = "2019-03-01T00:03:29Z,2019-03-01T00:13:32Z,40.75954,-73.97067,40.76915,-73.96696,142,236,3.476,1000,200,1580,card,yellow,3";

fn read(lines: &[&str]) -> Result<Trips, TripsError> {
    let text = std::iter::once(COLUMNS.join(",").as_str())
        .chain(lines.iter().copied())
        .collect::<Vec<_>>()
        .join("\n");
    Trips::read("t.csv", text.as_bytes(), None)
}

/// The line `GOOD` with field `at` (from 0) replaced.
fn with(at: usize, value: &str) -> String {
    let mut fields: Vec<&str> = GOOD.split(',').collect();
    fields[at] = value;
    fields.join(",")
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Trips::load(Some(Path::new("no/such.csv")), None).unwrap_err().to_string();
    assert!(error.starts_with("no/such.csv: ") && error.contains("expected a CSV file"), "{error}");
}

#[test]
fn an_empty_file_and_a_foreign_header_are_told_with_their_place() {
    let error = Trips::read("t.csv", b"", None).unwrap_err().to_string();
    assert!(error.starts_with("t.csv:1:1: the file is empty: expected the header pickup_time,"), "{error}");
    let error = Trips::read("t.csv", b"pickup_time,when\n", None).unwrap_err().to_string();
    assert!(error.starts_with("t.csv:1:2: found `when`, expected the column `dropoff_time`"), "{error}");
    let error = Trips::read("t.csv", b"\x89PNG\r\n\x1a\n\0\0", None).unwrap_err().to_string();
    assert!(error.starts_with("t.csv:1:1: found `"), "{error}");
    let wide = COLUMNS.join(",") + ",more\n";
    let error = Trips::read("t.csv", wide.as_bytes(), None).unwrap_err().to_string();
    assert!(error.starts_with("t.csv:1:16: found `more`, expected no more than 15 columns"), "{error}");
}

#[test]
fn a_line_that_is_no_trip_is_refused_with_line_column_and_expectation_and_the_others_are_read() {
    let cases = [
        (with(0, "yesterday"), 1, "`pickup_time` is `yesterday`, expected a time"),
        (with(2, "north"), 3, "`pickup_latitude` is `north`, expected a latitude"),
        (with(4, "91"), 5, "latitude 91 is not between -90 and 90"),
        (with(6, "-1"), 7, "`pickup_zone` is `-1`, expected a zone's number"),
        (with(8, ""), 9, "`distance_km` is ``, expected kilometres"),
        (with(8, "NaN"), 9, "expected kilometres, finite"),
        (with(9, "10.50"), 10, "`fare_cents` is `10.50`, expected whole cents"),
        (with(11, "much"), 12, "`total_cents` is `much`"),
        (with(12, "barter"), 13, "`payment` is `barter`, expected `card`, `cash` or `other`"),
        ("2019-03-01T00:03:29Z,2019".to_owned(), 3, "the line ends before `pickup_latitude`: found 2 fields"),
        (GOOD.to_owned() + ",x", 16, "found 16 fields, expected 15"),
    ];
    for (line, column, reason) in cases {
        let trips = read(&[GOOD, &line, GOOD]).unwrap();
        assert_eq!(trips.trips.len(), 2, "{line}");
        assert_eq!(trips.unreadable.len(), 1, "{line}");
        let refused = &trips.unreadable[0];
        assert_eq!((refused.line, refused.column), (3, column), "{line}: {}", refused.reason);
        assert!(refused.reason.contains(reason), "{line}: {}", refused.reason);
    }
}

#[test]
fn a_line_that_is_no_utf8_is_refused_and_not_the_file() {
    let mut bytes = (COLUMNS.join(",") + "\n").into_bytes();
    bytes.extend(
        with(8, "\u{1}").replace('\u{1}', "?").into_bytes().iter().map(|&b| if b == b'?' { 0xff } else { b }),
    );
    bytes.extend(b"\n");
    bytes.extend(GOOD.as_bytes());
    let trips = Trips::read("t.csv", &bytes, None).unwrap();
    assert_eq!((trips.trips.len(), trips.unreadable[0].column), (1, 9));
}

#[test]
fn a_file_without_a_single_trip_is_an_error_that_shows_the_first_lines() {
    let error = read(&["x", "y", "z", "a", "b"]).unwrap_err().to_string();
    assert!(error.contains("none of its 5 lines is a trip"), "{error}");
    assert!(error.contains("t.csv:2:2: the line ends before") && error.ends_with("and 2 more"), "{error}");
}

#[test]
fn the_built_in_file_is_all_trips() {
    let trips = Trips::load(None, None).unwrap();
    assert_eq!((trips.trips.len(), trips.unreadable.len()), (5155, 0));
    assert_eq!((trips.trips[0].line, trips.trips[5154].line), (2, 5156));
    let first = &trips.trips[0];
    assert_eq!((first.distance_km, first.fare_centavos, first.method), (3.476, 1000, PaymentMethod::Card));
    assert_eq!(Trips::load(None, Some(50)).unwrap().read_lines(), 50);
}
