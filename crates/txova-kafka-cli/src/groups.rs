//! `groups`: consumer groups, and where they go on.

mod reset;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use txova_kafka::admin::{GroupInfo, GroupState};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Cell, Column, Output, OutputArgs, Table};
use crate::paint::thousands;

use self::reset::ResetArgs;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Args)]
pub(crate) struct GroupsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Every group with its state and its members.
    Ls {
        /// A row for each member, with what it has.
        #[arg(long)]
        members: bool,
        #[command(flatten)]
        connection: ConnectionArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Sets where a group goes on. Shows what would change first, and changes nothing without a yes.
    ///
    /// Refused while the group has members: stop its service. What the group noted beside its offsets (records handled
    /// above a gap, attempts of failing ones) is forgotten, so records come again from the new offset on.
    Reset(ResetArgs),
}

pub(crate) async fn run(args: GroupsArgs) -> Result<Verdict, Failure> {
    match args.command {
        Command::Ls { members, connection, output } => ls(members, &connection, &Output::new(output)).await,
        Command::Reset(args) => reset::run(args).await,
    }
}

/// The state in a word.
pub(crate) fn state_name(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "empty",
        GroupState::Stable => "stable",
        GroupState::Rebalancing => "rebalancing",
        GroupState::Dead => "dead",
        _ => "unknown",
    }
}

/// A group, for machines.
#[derive(Serialize)]
struct Listed<'a> {
    group: &'a str,
    state: &'a str,
    members: Vec<ListedMember<'a>>,
}

#[derive(Serialize)]
struct ListedMember<'a> {
    id: &'a str,
    client_id: &'a str,
    host: &'a str,
    partitions: Vec<String>,
}

impl<'a> From<&'a GroupInfo> for Listed<'a> {
    fn from(group: &'a GroupInfo) -> Self {
        let members = group.members.iter().map(|member| ListedMember {
            id: &member.id,
            client_id: &member.client_id,
            host: &member.host,
            partitions: member.partitions.iter().map(ToString::to_string).collect(),
        });
        Self { group: &group.name, state: state_name(group.state), members: members.collect() }
    }
}

async fn ls(with_members: bool, connection: &ConnectionArgs, output: &Output) -> Result<Verdict, Failure> {
    let groups = connection.connect().await?.admin().groups(TIMEOUT).await?;
    if output.json {
        groups.iter().try_for_each(|group| output.object(&Listed::from(group)))?;
        return Ok(Verdict::Yes);
    }
    if groups.is_empty() {
        output.line("The cluster has no consumer groups.")?;
        return Ok(Verdict::Yes);
    }
    let state = |group: &GroupInfo| match group.state {
        GroupState::Stable => Cell::good(state_name(group.state)),
        other => Cell::warm(state_name(other)),
    };
    let mut table = if with_members {
        Table::new(["group", "state", "member", "at", "has"].map(Column::long))
    } else {
        let number = Column::number;
        Table::new([Column::long("group"), Column::text("state"), number("members"), number("partitions")])
    };
    for group in &groups {
        if !with_members {
            let partitions: usize = group.members.iter().map(|member| member.partitions.len()).sum();
            table.row([
                group.name.as_str().into(),
                state(group),
                thousands(group.members.len() as u64).into(),
                thousands(partitions as u64).into(),
            ]);
        }
        for member in group.members.iter().filter(|_| with_members) {
            let has: Vec<String> = member.partitions.iter().map(ToString::to_string).collect();
            table.row([
                group.name.as_str().into(),
                state(group),
                member.client_id.as_str().into(),
                member.host.as_str().into(),
                has.join(" ").into(),
            ]);
        }
    }
    output.table(&table)?;
    Ok(Verdict::Yes)
}
