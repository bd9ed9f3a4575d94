//! A measurement's process: what it prints, what processor time it took and how much memory it had at most. One runs at
//! a time, so that the processor time of ended children is that of this one.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Context, Failure, Result};
use crate::measured::Measured;

/// A measurement that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Linux counts processor time in these for everybody (`getconf CLK_TCK`).
const TICKS_A_SECOND: f64 = 100.0;

/// What a process found and what it cost.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub measured: Measured,
    pub cpu_seconds: f64,
    pub peak_mib: f64,
}

/// Runs a measurement to its end.
pub(crate) fn measure(command: &mut Command) -> Result<Cost> {
    let before = children_cpu_seconds()?;
    let (line, peak_mib) = last_line(command)?;
    let cpu_seconds = children_cpu_seconds()? - before;
    let measured = serde_json::from_str(&line).context(|| format!("no measurement: {line}"))?;
    Ok(Cost { measured, cpu_seconds, peak_mib })
}

/// The last line a process prints before it ends well, and its peak memory.
pub(crate) fn last_line(command: &mut Command) -> Result<(String, f64)> {
    let mut watched = Watched::start(command)?;
    let mut last = String::new();
    while let Some(line) = watched.line()? {
        last = line;
    }
    let peak = watched.peak_mib();
    let status = watched.child.wait().context(|| "the process cannot be waited for".to_owned())?;
    if status.success() {
        Ok((last, peak))
    } else {
        Err(Failure::new(format!("{command:?} ended with {status}")))
    }
}

/// A process whose lines are read, and which is ended where it takes too long or is dropped.
pub(crate) struct Watched {
    pub(crate) child: Child,
    lines: BufReader<std::process::ChildStdout>,
    peak_kib: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Watched {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context(|| format!("cannot start {command:?}"))?;
        let out = child.stdout.take().ok_or_else(|| Failure::new("the process has no output"))?;
        let (peak_kib, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        watch(child.id(), peak_kib.clone(), over.clone());
        Ok(Self { child, lines: BufReader::new(out), peak_kib, over })
    }

    /// The next line; `None` at the end of the output.
    pub(crate) fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).context(|| "its output cannot be read".to_owned())?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak_kib.load(Ordering::Relaxed) as f64 / 1024.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at the process's high-water mark until it is gone: it cannot be asked for afterwards.
fn watch(id: u32, peak_kib: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    let began = Instant::now();
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let Some(kib) = high_water_kib(id) else { break };
            peak_kib.fetch_max(kib, Ordering::Relaxed);
            if began.elapsed() > LIMIT {
                eprintln!("process {id} takes longer than {LIMIT:?} and is ended");
                let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
    });
}

fn high_water_kib(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// Processor time of all ended children, proc(5): `cutime` and `cstime` of /proc/self/stat.
fn children_cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context(|| "no /proc/self/stat".to_owned())?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|it| it.parse::<f64>().ok());
    match (ticks(16), ticks(17)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_A_SECOND),
        _ => Err(Failure::new("/proc/self/stat cannot be read")),
    }
}
