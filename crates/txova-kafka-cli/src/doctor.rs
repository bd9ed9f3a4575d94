//! `doctor`: everything that must hold for services to run on a cluster, each as a line: what was found, and what to do.

mod brokers;
mod groups;
mod probe;
mod topics;

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use txova_kafka::admin::ClusterInfo;
use txova_kafka::config::KafkaConfig;
use txova_kafka::{ClientErrorKind, Kafka};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict, hint};
use crate::output::{Output, OutputArgs};
use crate::paint::plural;
use crate::topics::layout::Layout;

const TIMEOUT: Duration = Duration::from_secs(8);
/// How long a cluster is tried before it counts as not there.
const REACH: Duration = Duration::from_secs(4);

#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How the topics should be; where it is not said, production on three brokers or more and development on fewer.
    #[arg(long, value_enum, value_name = "LAYOUT")]
    layout: Option<Layout>,
    /// Sends no event there and back, and leaves the cluster as it is. Without it a topic of the doctor's own is made,
    /// txova-kafka-doctor, whose records live for an hour.
    #[arg(long)]
    no_probe: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
    /// It could not be looked at.
    Skip,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    what: String,
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn new(what: &str, state: State, found: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state, found: found.into(), advice: None }
    }

    fn ok(what: &str, found: impl Into<String>) -> Self {
        Self::new(what, State::Ok, found)
    }

    fn warn(what: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(what, State::Warn, found) }
    }

    fn fail(what: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(what, State::Fail, found) }
    }

    /// A question that had no answer. One that the cluster does not know is no failure of it.
    fn unanswered(what: &str, error: &txova_kafka::ClientError) -> Self {
        match error.kind {
            ClientErrorKind::Unsupported => Self::new(what, State::Skip, "the cluster does not tell them"),
            kind => Self::fail(what, error.to_string(), hint(kind).unwrap_or("Look at the brokers' logs.")),
        }
    }
}

/// The lines so far, shown as they come.
struct Lines {
    output: Output,
    checks: Vec<Check>,
}

impl Lines {
    fn add(&mut self, check: Check) -> std::io::Result<()> {
        if !self.output.json {
            self.output.text(shown(&check, &self.output))?;
        }
        self.checks.push(check);
        Ok(())
    }

    fn add_all(&mut self, checks: impl IntoIterator<Item = Check>) -> std::io::Result<()> {
        checks.into_iter().try_for_each(|check| self.add(check))
    }

    fn count(&self, state: State) -> u64 {
        self.checks.iter().filter(|check| check.state == state).count() as u64
    }
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: &'a [Check],
}

pub(crate) async fn run(args: DoctorArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    // Without settings there is nobody to look at.
    let kafka = args.connection.kafka()?;
    let mut lines = Lines { output, checks: Vec::new() };
    lines.add(settings(kafka.config()))?;
    examine(&kafka, &args, &mut lines).await?;
    let (failed, warned) = (lines.count(State::Fail), lines.count(State::Warn));
    if output.json {
        output.object(&Report { ok: failed == 0, checks: &lines.checks })?;
    } else {
        let (failed_said, warned_said) =
            (plural(failed, "failure", "failures"), plural(warned, "warning", "warnings"));
        let total = plural(lines.checks.len() as u64, "check", "checks");
        let summary = format!("{total}: {failed_said}, {warned_said}");
        let paint = output.paint;
        output.line(format!("\n{}", if failed > 0 { paint.bad(summary) } else { paint.good(summary) }))?;
    }
    Ok(Verdict::of(failed == 0))
}

async fn examine(kafka: &Kafka, args: &DoctorArgs, lines: &mut Lines) -> Result<(), Failure> {
    let (reached, cluster) = reach(kafka).await;
    lines.add(reached)?;
    let Some(cluster) = cluster else { return Ok(()) };
    let layout = args.layout.unwrap_or(if cluster.brokers.len() >= 3 {
        Layout::Production
    } else {
        Layout::Development
    });
    let (checks, tells) = brokers::examine(kafka, &cluster).await;
    lines.add_all(checks)?;
    lines.add_all(topics::examine(kafka, &cluster, layout, tells).await)?;
    lines.add_all(groups::examine(kafka).await)?;
    if !args.no_probe {
        lines.add_all(probe::examine(kafka, &cluster, tells).await)?;
    }
    Ok(())
}

/// Who is asked, and how; never a secret.
fn settings(config: &KafkaConfig) -> Check {
    let connection = &config.connection;
    let protocol = connection.security_protocol;
    let mut found = format!("{}, {protocol}", connection.brokers.join(","));
    if protocol.uses_sasl() {
        let user = connection.sasl.username.as_deref().unwrap_or("nobody");
        found += &format!(", as {user} by {}", connection.sasl.mechanism);
    }
    if protocol.uses_tls() {
        let authority = connection.tls.ca_file.as_ref();
        let authority =
            authority.map_or_else(|| "the system's".to_owned(), |path| path.display().to_string());
        found += &format!(", authorities of {authority}");
        if !connection.tls.verify_hostname {
            let advice = "Set connection.tls.verify_hostname: anybody with a certificate can be this broker.";
            return Check::warn("settings", format!("{found}, host names not checked"), advice);
        }
    }
    Check::ok("settings", found)
}

/// Whether the cluster lets us in: address, TLS and user at once, told apart where it does not.
async fn reach(kafka: &Kafka) -> (Check, Option<ClusterInfo>) {
    let began = std::time::Instant::now();
    match kafka.admin().cluster(REACH).await {
        Ok(cluster) => {
            let id = cluster.id.as_deref().unwrap_or("without an id");
            let brokers = plural(cluster.brokers.len() as u64, "broker", "brokers");
            let took = began.elapsed().as_millis();
            (Check::ok("connection", format!("cluster {id}, {brokers}, after {took} ms")), Some(cluster))
        }
        Err(error) => {
            let what = match error.kind {
                ClientErrorKind::Tls => "tls",
                ClientErrorKind::Authentication => "authentication",
                ClientErrorKind::Authorization => "authorization",
                _ => "connection",
            };
            (
                Check::fail(
                    what,
                    error.to_string(),
                    hint(error.kind).unwrap_or("Look at the brokers' logs."),
                ),
                None,
            )
        }
    }
}

fn shown(check: &Check, output: &Output) -> String {
    let paint = output.paint;
    let mark = match check.state {
        State::Ok => paint.good("ok  "),
        State::Warn => paint.warm("warn"),
        State::Fail => paint.bad("FAIL"),
        State::Skip => paint.faint("skip"),
    };
    let mut text = format!("{mark}  {:<14} {}\n", check.what, check.found);
    if let Some(advice) = &check.advice {
        text += &format!("      {:<14} {}\n", "", paint.faint(format!("→ {advice}")));
    }
    text
}
