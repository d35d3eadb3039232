import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.Stores;

/**
 * Prints the bytes that Kafka Streams writes to changelogs and to topics with windowed keys,
 * a line for each record: the number of the record that caused it, topic, key, value and time.
 *
 * The first argument is a file of records, a line for each: topic, key, value and time, where
 * the value - is null. The second is a folder for what Kafka Streams keeps.
 */
public class Bytes {
    public static void main(String[] args) throws Exception {
        var p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "app");
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:0");
        p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
        p.put(StreamsConfig.STATE_DIR_CONFIG, args[1]);
        var text = new StringSerializer();
        var bytes = new ByteArrayDeserializer();
        int n = 0;
        try (var driver = new TopologyTestDriver(topology(), p)) {
            for (var line : Files.readAllLines(Path.of(args[0]))) {
                var f = line.split(" ");
                driver.createInputTopic(f[0], text, text).pipeInput(f[1], f[2].equals("-") ? null : f[2], Long.parseLong(f[3]));
                for (var topic : new TreeSet<>(driver.producedTopicNames())) {
                    print(String.format("%02d ", n) + topic, driver.createOutputTopic(topic, bytes, bytes));
                }
                n++;
            }
        }
    }

    static void print(String topic, TestOutputTopic<byte[], byte[]> out) {
        // The stores of a join have other names in this module.
        var name = topic.replace("this-join-store", "left").replace("other-join-store", "right");
        while (!out.isEmpty()) {
            var r = out.readRecord();
            // The time of a session's row is not kept there.
            var at = name.endsWith("session-changelog") ? "-" : r.timestamp();
            System.out.println(name + " " + hex(r.key()) + " " + hex(r.value()) + " " + at);
        }
    }

    static String hex(byte[] b) { return b == null ? "-" : HexFormat.of().formatHex(b); }

    static Topology topology() {
        var b = new StreamsBuilder();
        var in = b.<String, String>stream("in");
        var group = in.groupByKey();

        group.count(Materialized.as("counts"));
        in.toTable(Materialized.as("rows"));
        in.toTable(Materialized.as(Stores.persistentVersionedKeyValueStore("past", ms(1000))));

        group.windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5))).count(Materialized.as("tumbling"))
            .toStream().to("window-keys", Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 10), Serdes.Long()));
        group.windowedBy(TimeWindows.ofSizeAndGrace(ms(12), ms(5)).advanceBy(ms(5))).count(Materialized.as("hopping"));
        group.windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(8), ms(5))).count(Materialized.as("sliding"));
        group.windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(6), ms(5))).count(Materialized.as("session"))
            .toStream().to("session-keys", Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), Serdes.Long()));

        in.filter((k, v) -> v != null).join(b.<String, String>stream("other"), (l, r) -> l + r,
            JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), StreamJoined.<String, String, String>as("pairs").withStoreName("pairs"));
        return b.build();
    }

    static Duration ms(long n) { return Duration.ofMillis(n); }
}
