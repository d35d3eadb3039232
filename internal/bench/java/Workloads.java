import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.KeyValueMapper;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;

// The workloads of the benchmark as a user of Kafka Streams writes them, with its defaults but
// for what the benchmark fixes: the guarantee, commits every 100 ms, and every update sent.
// Arguments: workload, brokers, application id, state directory, guarantee, threads, output, inputs.
// It prints "begun" when the first record is read and "ready" when all state is restored, and
// ends when its standard input does.
public class Workloads {
  private static final Serde<byte[]> BYTES = Serdes.ByteArray();
  private static final AtomicBoolean begun = new AtomicBoolean();

  public static void main(String[] args) throws Exception {
    String[] in = java.util.Arrays.copyOfRange(args, 7, args.length);
    StreamsBuilder builder = new StreamsBuilder();
    build(builder, args[0], in, args[6]);

    Properties config = new Properties();
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[1]);
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2]);
    config.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[4]);
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[5]);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");

    KafkaStreams streams = new KafkaStreams(builder.build(), config);
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING) System.out.println("ready");
      if (now == KafkaStreams.State.ERROR) System.exit(1);
    });
    if (args[0].equals("restore")) begin();
    streams.start();
    while (System.in.read() >= 0) {}
    streams.close(CloseOptions.timeout(Duration.ofMinutes(1)).withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
  }

  private static void build(StreamsBuilder builder, String workload, String[] in, String out) {
    Serde<Long> numbers = Serdes.serdeFrom(new LongSerializer(), metered(new LongDeserializer()));
    Consumed<Long, byte[]> numbered = Consumed.with(numbers, BYTES);
    switch (workload) {
      case "stateless" -> builder.stream(in[0], numbered)
          .filter((k, v) -> k % 1000 != 0)
          .mapValues(v -> { v[0] ^= 1; return v; })
          .to(out, Produced.with(numbers, BYTES));
      case "count" -> builder.stream(in[0], numbered).groupByKey().count(Materialized.as("counts"))
          .toStream().to(out, Produced.with(numbers, Serdes.Long()));
      case "count-quiet" -> builder.stream(in[0], numbered).groupByKey().count(Materialized.as("counts"));
      case "window" -> {
        KTable<Windowed<Long>, Long> counts = builder.stream(in[0], numbered).groupByKey()
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofMinutes(1)))
            .count(Materialized.as("per-minute"));
        counts.toStream().to(out, Produced.with(new WindowedSerdes.TimeWindowedSerde<>(numbers, 60_000), Serdes.Long()));
      }
      case "join" -> {
        KTable<Long, byte[]> rows = builder.table(in[1], numbered);
        builder.stream(in[0], numbered).join(rows, (v, row) -> row).to(out, Produced.with(numbers, BYTES));
      }
      case "dedup" -> {
        Serde<String> text = Serdes.serdeFrom(new StringSerializer(), metered(new StringDeserializer()));
        Duration hour = Duration.ofHours(1);
        builder.addStateStore(Stores.windowStoreBuilder(Stores.persistentWindowStore("seen", hour, hour, false), text, BYTES));
        KStream<String, byte[]> all = builder.stream(in[0], Consumed.with(text, BYTES));
        all.processValues(() -> new Once<>("seen", hour, (k, v) -> k), "seen").to(out, Produced.with(text, BYTES));
      }
      case "lunch" -> lunch(builder, in, out);
      case "restore" -> builder.stream(in[0], numbered).groupByKey().reduce((a, v) -> v, Materialized.as("rows"));
      default -> throw new IllegalArgumentException(workload);
    }
  }

  // lunch is examples/lunch-abroad: each payment once, those not in pounds by currency, at the
  // rate of their day.
  private static void lunch(StreamsBuilder builder, String[] in, String out) {
    Serde<String> text = Serdes.serdeFrom(new StringSerializer(), metered(new StringDeserializer()));
    Serde<Payment> payment = json(Payment.class);
    Duration day = Duration.ofDays(1);
    builder.addStateStore(Stores.windowStoreBuilder(Stores.persistentWindowStore("paid", day, day, false), Serdes.String(), BYTES));
    KTable<String, Rate> rates = builder.table(in[1], Consumed.with(text, json(Rate.class)),
        Materialized.as(Stores.persistentVersionedKeyValueStore("rate-history", Duration.ofDays(3650))));
    builder.stream(in[0], Consumed.with(text, payment))
        .processValues(() -> new Once<String, Payment>("paid", day, (k, p) -> p.id()), "paid")
        .filter((k, p) -> !p.currency().equals("GBP"))
        .selectKey((k, p) -> p.currency())
        .repartition(Repartitioned.with(Serdes.String(), payment).withName("payments-by-currency"))
        .join(rates, Workloads::inPounds, Joined.with(Serdes.String(), payment, json(Rate.class)))
        .selectKey((k, t) -> t.phone())
        .to(out, Produced.with(Serdes.String(), json(Text.class)));
  }

  private static Text inPounds(Payment p, Rate r) {
    double pounds = p.amount() * r.pounds();
    return new Text(p.id(), p.phone(), pounds, String.format(Locale.ROOT, "You paid %.2f %s, which is £%.2f.", p.amount(), p.currency(), pounds));
  }

  record Payment(String id, String phone, String currency, double amount) {}
  record Rate(double pounds) {}
  record Text(String id, String phone, double pounds, String message) {}

  private static final ObjectMapper MAPPER = new ObjectMapper();

  private static <T> Serde<T> json(Class<T> type) {
    return Serdes.serdeFrom(
        (topic, value) -> {
          try {
            return value == null ? null : MAPPER.writeValueAsBytes(value);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        },
        (topic, data) -> {
          try {
            return data == null ? null : MAPPER.readValue(data, type);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  // Once lets a record pass whose id was not seen within some time of its own.
  private static class Once<K, V> implements FixedKeyProcessor<K, V, V> {
    private final String store;
    private final long within;
    private final KeyValueMapper<K, V, String> id;
    private FixedKeyProcessorContext<K, V> context;
    private WindowStore<String, byte[]> seen;

    Once(String store, Duration within, KeyValueMapper<K, V, String> id) {
      this.store = store;
      this.within = within.toMillis();
      this.id = id;
    }

    @Override public void init(FixedKeyProcessorContext<K, V> context) {
      this.context = context;
      seen = context.getStateStore(store);
    }

    @Override public void process(FixedKeyRecord<K, V> record) {
      String id = this.id.apply(record.key(), record.value());
      long at = record.timestamp();
      try (WindowStoreIterator<byte[]> before = seen.fetch(id, at - within, at + within)) {
        if (before.hasNext()) return;
      }
      seen.put(id, new byte[0], at);
      context.forward(record);
    }
  }

  // metered says when the first record is read.
  private static <T> Deserializer<T> metered(Deserializer<T> of) {
    return (topic, data) -> {
      begin();
      return of.deserialize(topic, data);
    };
  }

  private static void begin() {
    if (!begun.get() && begun.compareAndSet(false, true)) System.out.println("begun");
  }
}
