package peers;

import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Confluent's Parallel Consumer, ordered by key, as its README sets it up: auto-commit off, its default commit mode
 * (asynchronous by its own thread), {@code maxConcurrency} as asked.
 */
public final class ParallelConsumer {
    private ParallelConsumer() {}

    public static void main(String[] args) throws Exception {
        var options = Options.parse(args);
        switch (options.workload()) {
            case "consume" -> consume(options);
            case "stuck" -> stuck(options);
            case "recount" -> recount(options);
            default -> throw new IllegalArgumentException("no workload " + options.workload());
        }
        System.exit(0); // its threads are no daemons
    }

    private static ParallelStreamProcessor<byte[], byte[]> processor(Options options) {
        var settings = new Properties();
        settings.put("bootstrap.servers", options.text("brokers", "127.0.0.1:9092"));
        settings.put("group.id", options.text("group", ""));
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        var ours = ParallelConsumerOptions.<byte[], byte[]>builder()
                .consumer(new KafkaConsumer<>(settings))
                .ordering(ProcessingOrder.KEY)
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .maxConcurrency(options.number("concurrency", 100))
                .build();
        var processor = ParallelStreamProcessor.createEosStreamProcessor(ours);
        processor.subscribe(List.of(options.text("topic", "")));
        return processor;
    }

    private static String settings(Options options) {
        return "ordering KEY, PERIODIC_CONSUMER_ASYNCHRONOUS, maxConcurrency " + options.number("concurrency", 100);
    }

    private static void consume(Options options) throws InterruptedException {
        int records = options.number("records", 0);
        boolean work = options.flag("work");
        long began = System.nanoTime();
        var first = new AtomicLong();
        var seen = new AtomicInteger();
        var all = new CountDownLatch(1);
        var processor = processor(options);
        processor.poll(context -> {
            first.compareAndSet(0, System.nanoTime());
            var record = context.getSingleConsumerRecord();
            Events.decode(record.value());
            var header = work ? record.headers().lastHeader("work_us") : null;
            Measured.work(header == null ? null : header.value());
            if (seen.incrementAndGet() == records) {
                all.countDown();
            }
        });
        all.await();
        processor.closeDrainFirst(Duration.ofSeconds(60)); // its last commit belongs to the work
        double seconds = (System.nanoTime() - first.get()) / 1e9;
        Measured.print(settings(options), seen.get(), seconds, (first.get() - began) / 1e6, null);
    }

    /** The first record never ends; says so when enough others are done, and waits to be killed. */
    private static void stuck(Options options) throws InterruptedException {
        int enough = options.number("records", 0);
        var done = new AtomicInteger();
        var reached = new CountDownLatch(1);
        processor(options).poll(context -> {
            var record = context.getSingleConsumerRecord();
            if (record.offset() == 0) {
                Measured.work("3600000000".getBytes());
            }
            Measured.work("2000".getBytes());
            if (done.incrementAndGet() == enough) {
                reached.countDown();
            }
        });
        reached.await();
        System.out.println("reached " + done.get());
        Thread.sleep(3_600_000);
    }

    /** Handles what comes until nothing has for ten seconds, and prints how much that was. */
    private static void recount(Options options) throws InterruptedException {
        var seen = new AtomicInteger();
        var processor = processor(options);
        processor.poll(context -> seen.incrementAndGet());
        long quietSince = System.nanoTime();
        int before = 0;
        while (before == 0 || System.nanoTime() - quietSince < 10_000_000_000L) {
            Thread.sleep(100);
            if (seen.get() != before) {
                before = seen.get();
                quietSince = System.nanoTime();
            }
        }
        System.out.println("handled " + seen.get());
        processor.closeDrainFirst(Duration.ofSeconds(60));
    }
}
