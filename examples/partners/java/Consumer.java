import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A partner's consumer: reads what the office asks of us and accepts all of it, or declines (BEHAVIOUR=decline).
 *
 * <p>Three habits make it safe to stop, kill and restart at any moment: it remembers the ce_id of what it has dealt
 * with and drops what comes again; the id of a reply follows from the event it answers, so a repeated reply takes effect
 * once; and it commits its position only after its replies were acknowledged. Whatever fails ends the program; started
 * again, it goes on where it was.
 */
public final class Consumer {
    private static final String OFFERED = "de.integrationsbuero.referral.offered.v1";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String partner = System.getenv("PARTNER_ID");
    private final String queue = or("QUEUE", "partner." + partner + ".referrals.v1");
    private final String replies = or("REPLIES", "partner." + partner + ".replies.v1");
    private final String group = or("GROUP", partner + ".sample");
    private final Path stateFile = Path.of(or("STATE_FILE", partner + ".known"));
    private final String answer = or("BEHAVIOUR", "accept").equals("decline") ? "declined" : "accepted";
    private final Set<String> known = new HashSet<>();

    public static void main(String[] arguments) throws Exception {
        new Consumer().run();
    }

    private void run() throws Exception {
        if (Files.exists(stateFile)) {
            known.addAll(Files.readAllLines(stateFile));
        }
        Thread main = Thread.currentThread();
        try (var consumer = new KafkaConsumer<>(reading(), new StringDeserializer(), new StringDeserializer());
                var producer = new KafkaProducer<>(writing(), new StringSerializer(), new StringSerializer())) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                consumer.wakeup();
                try {
                    main.join();
                } catch (InterruptedException ended) {
                    Thread.currentThread().interrupt();
                }
            }));
            consumer.subscribe(List.of(queue));
            while (true) {
                dealWith(consumer.poll(Duration.ofSeconds(1)), producer);
                consumer.commitSync();
            }
        } catch (WakeupException stopped) {
            // SIGTERM or Ctrl-C: what was not committed comes again at the next start
        }
    }

    /** Answer the offers, wait until the brokers have the answers, and only then remember. */
    private void dealWith(Iterable<ConsumerRecord<String, String>> records, KafkaProducer<String, String> producer)
            throws Exception {
        List<String> ids = new ArrayList<>();
        List<Future<?>> sent = new ArrayList<>();
        for (ConsumerRecord<String, String> record : records) {
            String id = header(record, "ce_id");
            JsonNode event = parsed(record.value());
            boolean offered = OFFERED.equals(header(record, "ce_type"));
            if (id == null || event == null || !event.isObject() || offered && !event.path("referral_id").isTextual()) {
                System.out.printf("%s/%d/%d: no event, left%n", record.topic(), record.partition(), record.offset());
            } else if (known.add(id)) {
                if (offered) {
                    sent.add(producer.send(reply(id, event.get("referral_id").textValue())));
                }
                ids.add(id);
                JsonNode about = event.has("referral_id") ? event.get("referral_id") : event;
                System.out.printf("%s %s %s%n", partner, header(record, "ce_type"), about);
            }
        }
        for (Future<?> each : sent) {
            each.get();
        }
        Files.write(stateFile, ids, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /** The key, the referral, keeps our replies to it in order. */
    private ProducerRecord<String, String> reply(String eventId, String referralId) throws IOException {
        ObjectNode event = JSON.createObjectNode().put("referral_id", referralId);
        if (answer.equals("declined")) {
            event.put("reason", or("REASON", "capacity"));
        }
        var record = new ProducerRecord<>(replies, referralId, JSON.writeValueAsString(event));
        Map.of(
                        "ce_specversion", "1.0",
                        "ce_id", eventId + "-" + answer,
                        "ce_source", "/partner/" + partner,
                        "ce_type", "de.integrationsbuero.reply." + answer + ".v1",
                        "ce_subject", referralId,
                        "ce_time", Instant.now().toString(),
                        "content-type", "application/json")
                .forEach((name, text) -> record.headers().add(name, text.getBytes(StandardCharsets.UTF_8)));
        return record;
    }

    private Map<String, Object> reading() {
        Map<String, Object> options = office();
        options.put("group.id", group);
        options.put("enable.auto.commit", false);
        options.put("auto.offset.reset", "earliest"); // the first start reads what has waited for us, a late one what is left
        options.put("session.timeout.ms", 10_000);
        return options;
    }

    private Map<String, Object> writing() {
        Map<String, Object> options = office();
        options.put("acks", "all");
        options.put("enable.idempotence", true);
        return options;
    }

    private Map<String, Object> office() {
        Map<String, Object> options = new HashMap<>();
        options.put("bootstrap.servers", System.getenv("KAFKA_BOOTSTRAP"));
        options.put("security.protocol", "SASL_SSL");
        options.put("sasl.mechanism", "SCRAM-SHA-512");
        options.put("sasl.jaas.config", String.format(
                "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" password=\"%s\";",
                System.getenv("KAFKA_SASL_USERNAME"), System.getenv("KAFKA_SASL_PASSWORD")));
        if (System.getenv("KAFKA_CA") != null) {
            options.put("ssl.truststore.type", "PEM");
            options.put("ssl.truststore.location", System.getenv("KAFKA_CA"));
        }
        return options;
    }

    private static JsonNode parsed(String value) {
        try {
            return value == null ? null : JSON.readTree(value);
        } catch (JsonProcessingException error) {
            return null;
        }
    }

    private static String header(ConsumerRecord<String, String> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    private static String or(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }
}
