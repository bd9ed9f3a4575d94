//! `topics`: the platform's topics as they should be, and a cluster's as they are.

mod health;
pub(crate) mod layout;
mod plan;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use txova_kafka::admin::{Admin, ClusterInfo};
use txova_kafka::{ClientError, ClientErrorKind, Kafka};

use crate::confirm::ConfirmArgs;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::nearest::did_you_mean;
use crate::output::{Cell, Column, Output, OutputArgs, Table};
use crate::paint::plural;

pub(crate) use self::health::{Ailment, ailments};
use self::layout::{Layout, Wanted};
use self::plan::{Action, Allowed, Found, Step};

pub(crate) use self::plan::Finding;

const TIMEOUT: Duration = Duration::from_secs(15);
const SETTINGS: Duration = Duration::from_secs(8);

#[derive(Clone, Debug, Args)]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Shows what `apply` would change. Exit code 1 where anything is not as it should be.
    Plan {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Makes missing topics and changes what is not as it should be, after a yes.
    ///
    /// It changes nothing but what the plan shows, deletes nothing, and shortens no retention and adds no partition
    /// without the flag for it. Exit code 1 where something is still not as it should be.
    Apply {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        allowed: Allowed,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// As plan, and whether every partition has its leader and all its copies. Changes nothing.
    Verify {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Clone, Debug, Args)]
struct Which {
    /// How the topics should be.
    #[arg(value_enum, value_name = "LAYOUT")]
    layout: Layout,
    /// Only these topics. May be said several times.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Which {
    fn wanted(&self) -> Result<Vec<Wanted>, Failure> {
        let all = self.layout.topics();
        if let Some(unknown) = self.topics.iter().find(|name| all.iter().all(|topic| topic.name != **name)) {
            let hint = did_you_mean(unknown, all.iter().map(|topic| &*topic.name));
            let layout = self.layout.name();
            return Err(Failure::Usage(format!(
                "{unknown} is none of the topics of the {layout} layout{hint}"
            )));
        }
        let is_meant = |topic: &Wanted| self.topics.is_empty() || self.topics.contains(&topic.name);
        Ok(all.into_iter().filter(is_meant).collect())
    }
}

pub(crate) async fn run(args: TopicsArgs) -> Result<Verdict, Failure> {
    match args.command {
        Command::Plan { which, allowed } => {
            let found = Compared::now(&which, allowed).await?;
            found.show(&Output::new(which.output), false, None)
        }
        Command::Verify { which } => {
            let found = Compared::now(&which, Allowed::default()).await?;
            found.show(&Output::new(which.output), true, None)
        }
        Command::Apply { which, allowed, confirm } => apply(&which, allowed, confirm).await,
    }
}

async fn apply(which: &Which, allowed: Allowed, confirm: ConfirmArgs) -> Result<Verdict, Failure> {
    let output = Output::new(which.output);
    let before = Compared::now(which, allowed).await?;
    let steps = before.steps().count();
    if steps == 0 {
        return before.show(&output, false, Some(&[]));
    }
    if !output.json {
        before.show(&output, false, None)?;
    }
    let question = format!("Make {} now?", plural(steps as u64, "change", "changes"));
    if !confirm.may(&question) {
        return match output.json {
            true => before.show(&output, false, Some(&[])),
            false => Ok(Verdict::No),
        };
    }
    let mut done = Vec::new();
    for finding in before.steps() {
        let Some(step) = &finding.step else { continue };
        take(&before.kafka, &finding.topic, step).await?;
        if !output.json {
            output.line(format!("{} {} {}", output.paint.good("done"), finding.topic, finding.what))?;
        }
        done.push(finding.clone());
    }
    let after = settled(which, allowed, before.left()).await?;
    after.show(&output, false, Some(&done))
}

async fn take(kafka: &Kafka, topic: &str, step: &Step) -> Result<(), Failure> {
    let admin = kafka.admin();
    match step {
        Step::Create(new) => kafka.create_topics(vec![new.clone()], TIMEOUT).await?,
        Step::AddPartitions(total) => admin.add_partitions(topic, *total, TIMEOUT).await?,
        Step::Set(name, value) => {
            admin.change_topic(topic, vec![((*name).to_owned(), value.clone())], TIMEOUT).await?;
        }
    }
    Ok(())
}

/// How it is after the changes. A broker hears of them a moment later than the one that made them.
async fn settled(which: &Which, allowed: Allowed, expected: usize) -> Result<Compared, Failure> {
    let until = tokio::time::Instant::now() + TIMEOUT;
    loop {
        let now = Compared::now(which, allowed).await?;
        if now.findings.len() <= expected || tokio::time::Instant::now() > until {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn found<'a>(
    admin: &Admin,
    wanted: &'a [Wanted],
    cluster: &'a ClusterInfo,
    timeout: Duration,
) -> Result<Found<'a>, ClientError> {
    let is_there = |wanted: &&Wanted| cluster.topics.iter().any(|topic| topic.name == wanted.name);
    let there: Vec<&str> = wanted.iter().filter(is_there).map(|wanted| &*wanted.name).collect();
    let settings = admin.topic_settings(&there, timeout).await?;
    Ok(Found { cluster, settings: there.into_iter().zip(settings).collect() })
}

/// Everything that is not as it should be, for whoever only wants to know.
pub(crate) async fn compare(
    admin: &Admin,
    wanted: &[Wanted],
    cluster: &ClusterInfo,
    timeout: Duration,
) -> Result<Vec<Finding>, ClientError> {
    Ok(plan::plan(wanted, &found(admin, wanted, cluster, timeout).await?, Allowed::default()))
}

/// A layout beside a cluster.
struct Compared {
    kafka: Kafka,
    layout: Layout,
    wanted: Vec<Wanted>,
    cluster: ClusterInfo,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Report<'a> {
    layout: &'a str,
    as_it_should_be: bool,
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    ailments: Option<Vec<Ailment>>,
    strangers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'a [Finding]>,
}

impl Compared {
    async fn now(which: &Which, allowed: Allowed) -> Result<Self, Failure> {
        let wanted = which.wanted()?;
        let kafka = which.connection.connect().await?;
        let admin = kafka.admin();
        let cluster = admin.cluster(TIMEOUT).await?;
        // It has answered already: what takes longer is most likely not known to it.
        let found = found(&admin, &wanted, &cluster, SETTINGS).await.map_err(|error| match error.kind {
            ClientErrorKind::TimedOut => Failure::Cluster(format!(
                "{error}\nThe cluster is there and does not tell its topics' settings: that of `txova-kafka dev` never does"
            )),
            _ => error.into(),
        })?;
        let findings = plan::plan(&wanted, &found, allowed);
        Ok(Self { kafka, layout: which.layout, wanted, cluster, findings })
    }

    /// What `apply` does.
    fn steps(&self) -> impl Iterator<Item = &Finding> {
        let is_done = |finding: &&Finding| matches!(finding.action, Action::Create | Action::Change);
        self.findings.iter().filter(is_done)
    }

    /// How many findings `apply` leaves.
    fn left(&self) -> usize {
        self.findings.len() - self.steps().count()
    }

    fn show(&self, output: &Output, with_health: bool, done: Option<&[Finding]>) -> Result<Verdict, Failure> {
        let ailments = with_health.then(|| ailments(&self.wanted, &self.cluster));
        let is_ill = ailments.as_ref().is_some_and(|ailments| !ailments.is_empty());
        let is_good = self.findings.is_empty() && !is_ill;
        let strangers = plan::strangers(&self.layout.topics(), &self.cluster);
        if output.json {
            let (layout, findings) = (self.layout.name(), &*self.findings);
            output.object(&Report {
                layout,
                as_it_should_be: is_good,
                findings,
                ailments,
                strangers,
                done,
            })?;
            return Ok(Verdict::of(is_good));
        }
        if !self.findings.is_empty() {
            output.table(&table(&self.findings))?;
        }
        for ailment in ailments.iter().flatten() {
            output.line(format!("{}  {ailment}", output.paint.bad("ill")))?;
        }
        for stranger in strangers {
            let text = format!("{stranger} is none of the platform's topics; it is left alone");
            output.line(output.paint.faint(text))?;
        }
        let topics = plural(self.wanted.len() as u64, "topic", "topics");
        if is_good {
            let text = format!("{topics} as the {} layout says", self.layout.name());
            output.line(output.paint.good(text))?;
        } else if done.is_none() {
            output.line(self.summary(&topics))?;
        }
        Ok(Verdict::of(is_good))
    }

    fn summary(&self, topics: &str) -> String {
        let count = |action: Action| self.findings.iter().filter(|finding| finding.action == action).count();
        let [create, change, word, by_hand] =
            [Action::Create, Action::Change, Action::NeedsTheWord, Action::ByHand].map(count);
        format!(
            "{topics}, {} layout: {create} to create, {change} to change, {word} only with its flag, {by_hand} by hand",
            self.layout.name()
        )
    }
}

fn table(findings: &[Finding]) -> Table {
    let columns = [
        Column::text(""),
        Column::text("topic"),
        Column::text("what"),
        Column::text("is"),
        Column::text("should be"),
        Column::long("note"),
    ];
    let mut table = Table::new(columns);
    for finding in findings {
        let flag = match finding.what.as_str() {
            "partitions" => "--add-partitions",
            _ => "--shrink-retention",
        };
        let (mark, note) = match finding.action {
            Action::Create => (Cell::good("+"), String::new()),
            Action::Change => (Cell::warm("~"), String::new()),
            Action::NeedsTheWord => (Cell::bad("!"), format!("only with {flag}: ")),
            Action::ByHand => (Cell::bad("!"), "not done here: ".to_owned()),
        };
        // Milliseconds say nothing to a person.
        let shown = |value: &str| match finding.what.as_str() {
            "retention.ms" => plan::kept(value),
            _ => value.to_owned(),
        };
        table.row([
            mark,
            finding.topic.as_str().into(),
            finding.what.as_str().into(),
            finding.is.as_deref().map_or("–".to_owned(), shown).into(),
            shown(&finding.should_be).into(),
            (note + finding.note.as_deref().unwrap_or_default()).into(),
        ]);
    }
    table
}
