package peers;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ConcurrentMessageListenerContainer;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.listener.MessageListener;
import org.springframework.util.backoff.FixedBackOff;

/**
 * Spring for Apache Kafka: a template that publishes, and a concurrent container of record listeners with its default
 * acknowledgement (a commit after each poll's records) and, where asked, a dead-letter recoverer.
 */
public final class SpringKafka {
    private SpringKafka() {}

    public static void main(String[] args) throws Exception {
        var options = Options.parse(args);
        switch (options.workload()) {
            case "publish" -> publish(options);
            case "latency" -> latency(options);
            case "consume" -> consume(options);
            default -> throw new IllegalArgumentException("no workload " + options.workload());
        }
        System.exit(0);
    }

    private static Map<String, Object> shared(Options options) {
        var settings = new HashMap<String, Object>();
        settings.put("bootstrap.servers", options.text("brokers", "127.0.0.1:9092"));
        return settings;
    }

    private static KafkaTemplate<byte[], byte[]> template(Options options) {
        var settings = shared(options);
        settings.put("acks", "all");
        settings.put("enable.idempotence", true);
        settings.put("linger.ms", lingerMs(options));
        settings.put("compression.type", options.text("compression", "none"));
        settings.put("key.serializer", ByteArraySerializer.class);
        settings.put("value.serializer", ByteArraySerializer.class);
        return new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(settings));
    }

    private static int lingerMs(Options options) {
        return Integer.parseInt(options.text("linger", "5ms").replace("ms", ""));
    }

    private static String publishing(Options options) {
        return "KafkaTemplate.send, acks=all, idempotent, linger " + lingerMs(options) + " ms, "
                + options.text("compression", "none");
    }

    private static void publish(Options options) throws InterruptedException {
        int records = options.number("records", 0);
        var template = template(options);
        String topic = options.text("topic", "");
        var all = new CountDownLatch(records);
        long began = System.nanoTime();
        for (int n = 0; n < records; n++) {
            var record = new ProducerRecord<>(topic, Events.key(n).getBytes(), Events.encode(n, Instant.now()));
            template.send(record).whenComplete((sent, error) -> {
                if (error != null) {
                    error.printStackTrace();
                    System.exit(1);
                }
                all.countDown();
            });
        }
        all.await();
        Measured.print(publishing(options), records, (System.nanoTime() - began) / 1e9, 0, null);
    }

    private static void latency(Options options) throws InterruptedException {
        int records = options.number("records", 0);
        var template = template(options);
        String topic = options.text("topic", "");
        var latencies = new double[records];
        var all = new CountDownLatch(records);
        long gap = 1_000_000_000L / options.number("rate", 1000);
        long began = System.nanoTime();
        for (int i = 0; i < records; i++) {
            int n = i;
            long due = began + n * gap;
            while (System.nanoTime() < due) {
                LockSupport.parkNanos(due - System.nanoTime());
            }
            var record = new ProducerRecord<>(topic, Events.key(n).getBytes(), Events.encode(n, Instant.now()));
            template.send(record).whenComplete((sent, error) -> {
                if (error != null) {
                    error.printStackTrace();
                    System.exit(1);
                }
                latencies[n] = (System.nanoTime() - due) / 1e6;
                all.countDown();
            });
        }
        all.await();
        Measured.print(publishing(options), records, (System.nanoTime() - began) / 1e9, 0, latencies);
    }

    private static void consume(Options options) throws InterruptedException {
        int records = options.number("records", 0);
        int concurrency = options.number("concurrency", 2);
        boolean work = options.flag("work");
        String dlq = options.text("dlq", "");
        var settings = shared(options);
        settings.put("group.id", options.text("group", ""));
        settings.put("auto.offset.reset", "earliest");
        settings.put("key.deserializer", ByteArrayDeserializer.class);
        settings.put("value.deserializer", ByteArrayDeserializer.class);
        var properties = new ContainerProperties(options.text("topic", ""));
        long began = System.nanoTime();
        var first = new AtomicLong();
        var seen = new AtomicInteger();
        var all = new CountDownLatch(1);
        properties.setMessageListener((MessageListener<byte[], byte[]>) record -> {
            first.compareAndSet(0, System.nanoTime());
            Events.decode(record.value()); // what it throws goes to the error handler, which counts it
            var header = work ? record.headers().lastHeader("work_us") : null;
            Measured.work(header == null ? null : header.value());
            if (seen.incrementAndGet() == records) {
                all.countDown();
            }
        });
        var container = new ConcurrentMessageListenerContainer<byte[], byte[]>(
                new DefaultKafkaConsumerFactory<>(settings), properties);
        container.setConcurrency(concurrency);
        if (!dlq.isEmpty()) {
            var recoverer = new DeadLetterPublishingRecoverer(
                    template(options), (record, e) -> new org.apache.kafka.common.TopicPartition(dlq, record.partition()));
            container.setCommonErrorHandler(new DefaultErrorHandler((record, e) -> {
                recoverer.accept(record, e);
                if (seen.incrementAndGet() == records) {
                    all.countDown();
                }
            }, new FixedBackOff(0, 0)));
        }
        container.start();
        all.await();
        container.stop();
        double seconds = (System.nanoTime() - first.get()) / 1e9;
        String told = "ConcurrentMessageListenerContainer, concurrency " + concurrency + ", ack mode BATCH"
                + (dlq.isEmpty() ? "" : ", DefaultErrorHandler without retries, DeadLetterPublishingRecoverer");
        Measured.print(told, seen.get(), seconds, (first.get() - began) / 1e6, null);
    }
}
