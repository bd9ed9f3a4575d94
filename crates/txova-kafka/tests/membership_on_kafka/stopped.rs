//! A member process that is stopped for longer than its session: SIGSTOP, and later SIGCONT.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use super::*;

const BROKERS: &str = "TXOVA_KAFKA_TEST_MEMBER_BROKERS";
const TOPIC: &str = "TXOVA_KAFKA_TEST_MEMBER_TOPIC";

/// The member, in a process of its own: tells each assignment and each record, and leaves when its input ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is run by the test beside it, as a process of its own"]
#[allow(clippy::print_stdout)] // how it tells
async fn a_member_process() {
    let (Ok(brokers), Ok(topic)) = (std::env::var(BROKERS), std::env::var(TOPIC)) else { return };
    let world = World::named(&brokers, &topic);
    let app = world.start(|_| {});
    let asked = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let (mut assignments, mut handled) = (0, 0);
    while !asked.is_finished() {
        let now = app.status().await.assignments;
        if now != assignments {
            assignments = now;
            println!("\nassigned {assignments}");
        }
        for (_, key, number) in world.seen.lock().unwrap().iter().skip(handled) {
            handled += 1;
            println!("\nhandled {key} {number}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.close().await;
}

/// A member process and what it has told.
struct Process {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
}

impl Process {
    fn start(world: &World) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "stopped::a_member_process", "--ignored", "--nocapture"]);
        command.env(BROKERS, std::env::var("TXOVA_KAFKA_BROKERS").unwrap()).env(TOPIC, &world.topic);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (told, out) = (Arc::<Mutex<Vec<String>>>::default(), child.stdout.take().unwrap());
        let telling = told.clone();
        std::thread::spawn(move || {
            BufReader::new(out)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| telling.lock().unwrap().push(line));
        });
        Self { child, told }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn told(&self, what: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|line| line.starts_with(what)).count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// fede1024/rust-rdkafka #433: the group goes on without a member, and the member is not told: it waits for records for ever,
/// or commits over its successor. Here it learns of it when it wakes, commits nothing for what is another's now, and is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_stopped_for_longer_than_its_session_learns_it_commits_nothing_more_and_comes_back() {
    let Some(world) = World::new(2).await else { return };
    let mut stopped = Process::start(&world);
    world.write(0..60).await;
    until!("it has handled all", stopped.told("handled") == 60 && world.is_done().await);
    world.write(60..6_000).await;
    until!("it is in the middle", stopped.told("handled") > 300);
    stopped.signal("-STOP");

    let other = world.start(|_| {});
    until!("the group goes on without it", other.has(2).await);
    until!("the other has done the rest", world.is_done().await);
    let done = world.committed().await;
    assert_eq!(done.iter().sum::<i64>(), 6_000);
    stopped.signal("-CONT");
    until!("it has joined anew", {
        assert_eq!(world.committed().await, done, "somebody who is no member any more has committed");
        stopped.told("assigned") >= 2
    });
    until!("each has one", other.has(1).await);
    let before = stopped.told("handled");
    world.write(6_000..6_300).await;
    until!("it is at work again", stopped.told("handled") > before && world.is_done().await);
    drop(stopped.child.stdin.take());
    assert!(stopped.child.wait().unwrap().success(), "it leaves as if nothing had been");
    other.close().await;
}
