//! The embedded broker and the generator that feeds it, on one thread of their own.
//!
//! The mock cluster keeps 5 MiB a partition: the generator holds back while more than a part of that is not yet visible,
//! so nothing is ever deleted before it is read.

use super::edit::Edits;
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

const PARTITIONS: i32 = 4;
const TICK: Duration = Duration::from_millis(5);
const START_BOUND: Duration = Duration::from_secs(10);
/// Bytes produced and not yet visible at which the generator holds back; a quarter of what the broker keeps.
const BEHIND_BYTES: u64 = 5 << 20;

/// A record that was timed: where it is, and when `produce()` was called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) sent: Duration,
}

/// The running broker.
#[derive(Debug)]
pub(super) struct Broker {
    servers: String,
    topic: String,
    shared: Arc<Shared>,
    samples: Mutex<Option<tokio::sync::mpsc::Receiver<Sample>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    begin: AtomicBool,
    stop: AtomicBool,
}

struct Deliveries(tokio::sync::mpsc::Sender<Sample>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Option<Duration>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        if let (Ok(message), Some(sent)) = (result, *sent) {
            // A full queue loses a sample, never a record.
            let _ = self.0.try_send(Sample { partition: message.partition(), offset: message.offset(), sent });
        }
    }
}

impl Broker {
    /// Starts the broker with a topic of a new name; the generator waits for [`Broker::begin`]. `visible` tells how many
    /// of its records queries see.
    ///
    /// # Errors
    /// `Internal` where librdkafka cannot start it.
    pub(super) fn start(rate: u32, clock: Clock, visible: impl Fn() -> u64 + Send + 'static) -> Result<Self> {
        let topic = format!("wikipedia-{}", clock.uuid().simple());
        let shared = Arc::new(Shared::default());
        let (tell, told) = mpsc::sync_channel(1);
        let (sender, samples) = tokio::sync::mpsc::channel(1_024);
        let generator =
            Generator { rate, topic: topic.clone(), clock, shared: Arc::clone(&shared), visible: Box::new(visible) };
        let thread = std::thread::Builder::new()
            .name("millrace-demo".to_owned())
            .spawn(move || generator.live(sender, &tell))
            .map_err(|e| Error::internal(format!("cannot start a thread: {e}")).caused_by(e))?;
        let servers =
            told.recv_timeout(START_BOUND).map_err(|_| Error::internal("the embedded broker did not start"))??;
        Ok(Self { servers, topic, shared, samples: Mutex::new(Some(samples)), thread: Mutex::new(Some(thread)) })
    }

    /// `host:port`.
    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// The timed records; for one taker.
    pub(super) fn samples(&self) -> Option<tokio::sync::mpsc::Receiver<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Starts the events.
    pub(super) fn begin(&self) {
        self.shared.begin.store(true, Ordering::Relaxed);
    }

    /// Stops the events; the broker goes with its thread.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Waits for the thread, so that the broker is gone before the process is.
impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

struct Generator {
    rate: u32,
    topic: String,
    clock: Clock,
    shared: Arc<Shared>,
    visible: Box<dyn Fn() -> u64 + Send>,
}

impl Generator {
    /// The thread: the cluster lives and dies with it.
    fn live(self, samples: tokio::sync::mpsc::Sender<Sample>, tell: &mpsc::SyncSender<Result<String>>) {
        let started = MockCluster::new(1).and_then(|cluster| {
            cluster.create_topic(&self.topic, PARTITIONS, 1)?;
            let producer: BaseProducer<Deliveries> = ClientConfig::new()
                .set("bootstrap.servers", cluster.bootstrap_servers())
                .set("linger.ms", "1")
                .set("message.timeout.ms", "10000")
                .create_with_context(Deliveries(samples))?;
            Ok((cluster, producer))
        });
        match started {
            Ok((cluster, producer)) => {
                let _ = tell.send(Ok(cluster.bootstrap_servers()));
                self.generate(&producer);
                let _ = producer.flush(Duration::from_secs(1));
            }
            Err(error) => {
                let _ = tell
                    .send(Err(Error::new(ErrorKind::Internal, format!("embedded broker: {error}")).caused_by(error)));
            }
        }
    }

    /// Waits for the next tick, taking delivery reports as they come.
    fn wait(&self, producer: &BaseProducer<Deliveries>) -> Duration {
        let end = self.clock.monotonic() + TICK;
        loop {
            let now = self.clock.monotonic();
            if now >= end {
                return now;
            }
            producer.poll(end - now);
        }
    }

    /// `rate` events a second, in ticks, until told to stop.
    fn generate(&self, producer: &BaseProducer<Deliveries>) {
        let (mut edits, mut text, mut partition) = (Edits::new(self.clock.random()), String::new(), 0);
        let (mut begun, mut due_sent, mut sent, mut bytes) = (self.clock.monotonic(), 0u64, 0u64, 0u64);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.wait(producer);
            let behind = sent.saturating_sub((self.visible)());
            if !self.shared.begin.load(Ordering::Relaxed) || behind * (bytes / sent.max(1)) > BEHIND_BYTES {
                (begun, due_sent) = (now, 0);
                continue;
            }
            // A tick's events go to one partition: a fetch from this broker returns one batch of each, however small.
            partition = (partition + 1) % PARTITIONS;
            let due = due_events(self.rate, now.saturating_sub(begun));
            for number in due_sent..due {
                edits.write(self.clock.now(), &mut text);
                let timed = (number == due_sent).then(|| self.clock.monotonic());
                let record = BaseRecord::<str, str, _>::with_opaque_to(&self.topic, Box::new(timed))
                    .partition(partition)
                    .payload(&text);
                if producer.send(record).is_ok() {
                    sent += 1;
                    bytes += u64::try_from(text.len()).unwrap_or(0);
                }
            }
            due_sent = due;
        }
    }
}

fn due_events(rate: u32, elapsed: Duration) -> u64 {
    u64::try_from(u128::from(rate) * elapsed.as_micros() / 1_000_000).unwrap_or(u64::MAX)
}
