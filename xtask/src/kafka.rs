//! `cargo xtask kafka …`: reads the command line and says what was done. The work is in `cluster`.

mod cluster;
mod docker;
mod engine;
mod java;
mod local;
mod process;
mod saved;
mod secure;
mod settings;
mod wire;

use std::process::ExitCode;
use std::time::Instant;

use clap::Subcommand;

use crate::failure::{Failure, Result};
use cluster::{Cluster, Wanted, nodes_text};
use engine::State;
use saved::RunsAs;

pub(crate) use saved::home;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// Where the first node listens, and by which the cluster is known; node N is ten ports higher each.
    #[arg(long, global = true, default_value_t = 9092, value_parser = clap::value_parser!(u16).range(1024..=65500))]
    port: u16,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it, or what of it is down, and wait until it answers; the last line is what points the tests at it.
    Start {
        /// Brokers, each also a controller [default: 1].
        #[arg(long, value_parser = one_or_three)]
        nodes: Option<u8>,
        /// Partitions of a topic created without saying how many [default: 3].
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        partitions: Option<u32>,
        /// Whether a topic appears when it is first named [default: true].
        #[arg(long)]
        auto_create: Option<bool>,
        /// Listen with TLS and SCRAM as well, two ports higher, for a user with few permissions.
        #[arg(long)]
        secure: bool,
        /// As containers (image apache/kafka), and nothing else.
        #[arg(long, conflicts_with = "maven")]
        docker: bool,
        /// As Java processes with jars from Maven Central, even where there is Docker.
        #[arg(long)]
        maven: bool,
    },
    /// End every node; its data is kept.
    Stop,
    /// End a node at once (SIGKILL), as a power cut does.
    Kill { node: u8 },
    /// Freeze a node (SIGSTOP): its connections stay open and nothing answers.
    Pause { node: u8 },
    /// Wake a paused node, or start one that is down on the data it has.
    Resume { node: u8 },
    /// Stop it and delete its data and logs.
    Clean,
    /// What runs and what answers; exit code 1 unless all of it does.
    Status,
}

fn one_or_three(nodes: &str) -> std::result::Result<u8, &'static str> {
    match nodes {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("1 or 3 nodes: two have no majority when one is away"),
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let port = args.port;
    match args.action {
        Action::Start { nodes, partitions, auto_create, secure, docker, maven } => {
            let runs_as = if docker { Some(RunsAs::Docker) } else { maven.then_some(RunsAs::Java) };
            start(port, Wanted { nodes, partitions, auto_create, secure, runs_as })?;
        }
        Action::Stop => match Cluster::open(port)? {
            Some(cluster) => stop(&cluster)?,
            None => println!("no Kafka was started on port {port}: nothing to stop"),
        },
        Action::Clean => match Cluster::open(port)? {
            Some(cluster) => {
                let folder = cluster.folder().display().to_string();
                cluster.clean()?;
                println!("stopped, and {folder} deleted");
            }
            None => println!("no Kafka was started on port {port}: nothing to clean"),
        },
        Action::Kill { node } => {
            opened(port)?.kill(node)?;
            println!("node {node} killed");
        }
        Action::Pause { node } => {
            opened(port)?.pause(node)?;
            println!("node {node} paused");
        }
        Action::Resume { node } => resume(&opened(port)?, node)?,
        Action::Status => return status(port),
    }
    Ok(ExitCode::SUCCESS)
}

fn opened(port: u16) -> Result<Cluster> {
    let start = if port == 9092 { String::new() } else { format!(" --port {port}") };
    Cluster::open(port)?.ok_or_else(|| {
        Failure::new(format!("no Kafka was started on port {port}: cargo xtask kafka start{start}"))
    })
}

fn start(port: u16, wanted: Wanted) -> Result<()> {
    let began = Instant::now();
    let (cluster, started) = Cluster::start(port, wanted)?;
    let nodes = nodes_text(cluster.settings().nodes);
    if started == 0 {
        println!("already running: Apache Kafka {}, {nodes}", settings::VERSION);
    } else {
        let data = match cluster.runs_as() {
            RunsAs::Java => format!("data and logs in {}", cluster.folder().display()),
            RunsAs::Docker => "data and logs in its containers".to_owned(),
        };
        println!(
            "Apache Kafka {}, {nodes}, as {:?}: answers after {:.1} s; {data}",
            settings::VERSION,
            cluster.runs_as(),
            began.elapsed().as_secs_f64()
        );
    }
    print_brokers(&cluster);
    Ok(())
}

fn print_brokers(cluster: &Cluster) {
    let settings = cluster.settings();
    if settings.secure {
        let variables = secure::Secure::new(cluster.folder()).variables(&settings.secure_bootstrap());
        println!("with TLS and SCRAM: {variables}");
    }
    println!("TXOVA_KAFKA_BROKERS={}", settings.bootstrap());
}

fn stop(cluster: &Cluster) -> Result<()> {
    let before = cluster.status()?.iter().filter(|it| it.state != State::Down).count();
    let killed = cluster.stop()?;
    if before == 0 {
        println!("nothing was running");
    } else if killed.is_empty() {
        println!("stopped; its data is kept");
    } else {
        println!("stopped; the nodes {killed:?} did not end in time and were killed. The data is kept");
    }
    Ok(())
}

fn resume(cluster: &Cluster, node: u8) -> Result<()> {
    let began = Instant::now();
    cluster.resume(node)?;
    let (running, nodes) = (cluster.running()?, cluster.settings().nodes);
    if running * 2 <= usize::from(nodes) {
        println!(
            "node {node} started; {running} of {} run, and without a majority none answers",
            nodes_text(nodes)
        );
        return Ok(());
    }
    cluster.wait_for(node, &[node])?;
    println!("node {node} answers after {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn status(port: u16) -> Result<ExitCode> {
    let Some(cluster) = Cluster::open(port)? else {
        println!("no Kafka was started on port {port}");
        return Ok(ExitCode::FAILURE);
    };
    println!(
        "Apache Kafka {}, {}, as {:?}, in {}",
        settings::VERSION,
        nodes_text(cluster.settings().nodes),
        cluster.runs_as(),
        cluster.folder().display()
    );
    let mut well = true;
    for it in cluster.status()? {
        let doing = match &it.state {
            State::Down => "down".to_owned(),
            State::Up { who, paused: true } => format!("paused, {who}"),
            State::Up { who, paused: false } => format!("running, {who}"),
        };
        let answer = match &it.sees {
            Ok(sees) => format!("answers, sees the nodes {sees:?}"),
            Err(error) => format!("does not answer ({error})"),
        };
        well &= it.sees.is_ok();
        println!(
            "node {} on 127.0.0.1:{}: {doing}; {answer}",
            it.node,
            cluster.settings().client_port(it.node)
        );
    }
    print_brokers(&cluster);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> std::result::Result<Args, String> {
        Line::try_parse_from(line.split(' ')).map(|it| it.args).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_but_one_or_three_nodes_is_taken() {
        for nodes in ["0", "2", "4", "x"] {
            let said = parsed(&format!("kafka start --nodes {nodes}")).expect_err("refused");
            assert!(said.contains("1 or 3 nodes"), "{said}");
        }
        let args = parsed("kafka start --nodes 3 --partitions 12 --port 19092").expect("taken");
        assert_eq!(args.port, 19092);
        assert!(matches!(
            args.action,
            Action::Start { nodes: Some(3), partitions: Some(12), auto_create: None, .. }
        ));
    }

    #[test]
    fn docker_and_maven_at_once_are_refused() {
        let said = parsed("kafka start --docker --maven").expect_err("refused");
        assert!(said.contains("cannot be used with"), "{said}");
    }

    #[test]
    fn the_port_may_stand_on_either_side_of_the_action() {
        assert_eq!(parsed("kafka --port 9292 kill 2").expect("taken").port, 9292);
        assert_eq!(parsed("kafka kill 2 --port 9292").expect("taken").port, 9292);
        assert_eq!(parsed("kafka status").expect("taken").port, 9092);
    }

    #[test]
    fn a_port_with_no_room_for_three_nodes_above_it_is_refused() {
        for port in ["80", "65530", "70000"] {
            assert!(parsed(&format!("kafka start --port {port}")).is_err(), "{port}");
        }
    }

    #[test]
    fn kill_needs_the_number_of_a_node() {
        assert!(parsed("kafka kill").is_err());
        assert!(parsed("kafka kill one").is_err());
    }
}
