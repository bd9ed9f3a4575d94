//! The Kafka that is measured on: a single node made for the run and deleted after it, or one that is named. Topics are
//! made and filled here.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use xtask::cluster;

use crate::data::{Shape, WORK_HEADER};
use crate::failure::{Context, Failure, Result};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the Kafka is that is measured on.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Where Kafka is; one of its own is started where this is not given. Topics that begin with `bench.` are deleted.
    #[arg(long)]
    brokers: Option<String>,
    /// The program that has the task `kafka`.
    #[arg(long, hide = true)]
    xtask: PathBuf,
    /// Where the cluster and the built peers are.
    #[arg(long, hide = true)]
    pub(crate) folder: PathBuf,
    /// The first port of the bench's own Kafka.
    #[arg(long, default_value_t = 29_192)]
    port: u16,
}

impl Place {
    /// The one that is named, or one that is started for the run.
    pub(crate) fn broker(&self) -> Result<Broker> {
        match &self.brokers {
            Some(brokers) => Ok(Broker::there(brokers)),
            None => Broker::start(&self.xtask, &self.folder, self.port),
        }
    }
}

/// Ends the node it has started when it is dropped.
pub(crate) struct Broker {
    pub(crate) brokers: String,
    own: Option<Own>,
}

struct Own {
    xtask: PathBuf,
    home: PathBuf,
    port: u16,
}

impl Own {
    fn kafka(&self, task: &[&str]) -> Result<String> {
        cluster::ask(&self.xtask, &self.home, self.port, task)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(own) = self.own.take()
            && let Err(error) = own.kafka(&["clean"])
        {
            eprintln!("{error}");
        }
    }
}

impl Broker {
    fn there(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), own: None }
    }

    fn start(xtask: &Path, folder: &Path, port: u16) -> Result<Self> {
        let own = Own { xtask: xtask.to_owned(), home: folder.join("kafka"), port };
        own.kafka(&["clean"])?;
        let said = own.kafka(&["start", "--auto-create", "false"])?;
        let brokers = cluster::brokers_in(&said)?;
        Ok(Self { brokers, own: Some(own) })
    }

    /// A client's settings, with nothing in them but where Kafka is.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// An empty topic of this name, whatever was there before.
    pub(crate) fn fresh(&self, name: &str, partitions: i32) -> Result<()> {
        self.delete(name)?;
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let made = block_on(admin.create_topics(&[topic], &options))?.context(|| format!("making {name}"))?;
        match made.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err((_, code))) => Err(Failure::new(format!("making {name}: {code}"))),
            None => Err(Failure::new(format!("making {name}: no answer"))),
        }
    }

    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let gone =
            block_on(admin.delete_topics(&[name], &options))?.context(|| format!("deleting {name}"))?;
        if let Some(Err((_, code))) = gone.into_iter().next()
            && code != RDKafkaErrorCode::UnknownTopicOrPartition
        {
            return Err(Failure::new(format!("deleting {name}: {code}")));
        }
        let asking: BaseConsumer = self.client().create().context(|| "no client".to_owned())?;
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until {
            let all = asking.fetch_metadata(None, TIMEOUT).context(|| "asking for topics".to_owned())?;
            if all.topics().iter().all(|topic| topic.name() != name) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::new(format!("{name} is deleted and still there")))
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        self.client().create().context(|| "no admin client".to_owned())
    }

    /// Writes a workload's records.
    pub(crate) fn fill(&self, topic: &str, shape: &Shape, trips: &Path) -> Result<()> {
        let producer: ThreadedProducer<DefaultProducerContext> = self
            .client()
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("partitioner", "murmur2_random")
            .create()
            .context(|| "no producer".to_owned())?;
        for row in shape.rows(trips)? {
            let row = row?;
            let mut headers = OwnedHeaders::new();
            if let Some(us) = row.work_us {
                headers = headers.insert(Header { key: WORK_HEADER, value: Some(us.to_string().as_bytes()) });
            }
            let mut record = BaseRecord::to(topic).key(&row.key[..]).payload(&row.value[..]).headers(headers);
            loop {
                match producer.send(record) {
                    Ok(()) => break,
                    Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                        record = back;
                        thread::sleep(Duration::from_millis(5));
                    }
                    Err((error, _)) => return Err(Failure::new(format!("filling {topic}: {error}"))),
                }
            }
        }
        producer.flush(Duration::from_secs(120)).context(|| format!("filling {topic}"))
    }
}

/// The admin client answers from a thread of its own: this one only waits.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context(|| "no runtime".to_owned())?.block_on(future))
}
