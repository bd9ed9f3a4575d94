//! The demo: real trips become events, flow to three services, some end as dead letters, and one replay repairs them.
//! It puts the parts in order and must never know how one of them does its work.

mod cluster;
mod flaw;
mod ledger;
mod life;
mod poison;
mod repair;
mod report;
mod services;
mod settle;
mod stage;
mod sum;
mod tag;
mod targets;
mod traffic;
mod trips;
mod view;
mod watch;

use std::fmt;
use std::io::Write as _;

use crate::cli::DemoArgs;
use crate::failure::Failure;

pub(crate) use self::life::Lives;
pub(crate) use self::tag::Run;
pub(crate) use self::trips::Trips;

use self::report::Report;
use self::stage::Stage;
use self::trips::TripsError;
use self::view::Screen;

/// Why there is no report.
#[derive(Debug)]
pub(crate) enum DemoError {
    /// The settings of a real cluster cannot be used.
    Refused(Failure),
    /// The trips cannot be read.
    Trips(TripsError),
    /// The cluster does not do what it is asked.
    Cluster(String),
    /// A service ended by itself.
    Stopped(String),
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(failure) => failure.fmt(f),
            Self::Cluster(reason) | Self::Stopped(reason) => f.write_str(reason),
            Self::Trips(error) => error.fmt(f),
            Self::Interrupted => f.write_str("interrupted: all apps are closed, nothing is judged"),
        }
    }
}

impl std::error::Error for DemoError {}

impl DemoError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(failure) => failure.exit_code(),
            Self::Trips(_) => 2,
            Self::Cluster(_) | Self::Stopped(_) => 3,
            Self::Interrupted => 130,
        }
    }
}

/// Runs the demo and says how it went; the process's exit code.
pub(crate) async fn run(args: DemoArgs) -> u8 {
    let mut screen = Screen::open(args.output);
    let played = play(&args, &mut screen).await;
    screen.end();
    match played {
        Ok(report) => {
            print(&report, &args, &screen);
            u8::from(!report.ok)
        }
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

async fn play(args: &DemoArgs, screen: &mut Screen) -> Result<Report, DemoError> {
    let trips = Trips::load(args.trips.as_deref(), args.limit).map_err(DemoError::Trips)?;
    let mut stage = Stage::set(trips, &args.connection, screen).await?;
    let played = stage.play(args.rate, screen).await;
    stage.close().await;
    let sums = played?;
    Ok(stage.report(sums))
}

/// A reader that has gone (`| head`) is no reason to fail.
fn print(report: &Report, args: &DemoArgs, screen: &Screen) {
    let mut out = std::io::stdout().lock();
    let _ = if args.output.json {
        serde_json::to_writer(&mut out, report).map_err(std::io::Error::from).and_then(|()| writeln!(out))
    } else {
        write!(out, "{}", report.table(screen.paint))
    };
    let _ = out.flush();
}
