package peers;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.time.Instant;
import java.util.Map;

/** The events of the wire contract that the bench uses, decoded in full: the envelope, then its payload by type. */
public final class Events {
    public record Location(double latitude, double longitude) {}

    public record RideRequested(
            @JsonProperty("ride_id") String rideId, @JsonProperty("rider_id") String riderId, Location pickup,
            Location dropoff, @JsonProperty("service_type") String serviceType) {}

    public record RideDriverAssigned(
            @JsonProperty("ride_id") String rideId, @JsonProperty("driver_id") String driverId,
            @JsonProperty("vehicle_id") String vehicleId, @JsonProperty("eta_minutes") int etaMinutes) {}

    public record RideDriverArrived(
            @JsonProperty("ride_id") String rideId, @JsonProperty("arrival_time") String arrivalTime) {}

    public record RideStarted(
            @JsonProperty("ride_id") String rideId, @JsonProperty("start_time") String startTime,
            @JsonProperty("start_location") Location startLocation) {}

    public record RideCompleted(
            @JsonProperty("ride_id") String rideId, @JsonProperty("end_time") String endTime,
            @JsonProperty("distance_km") double distanceKm, @JsonProperty("duration_mins") int durationMins, long fare) {}

    public record RideRated(
            @JsonProperty("ride_id") String rideId, int rating, @JsonProperty("rated_by") String ratedBy,
            String review) {}

    public record DriverLocationUpdated(
            @JsonProperty("driver_id") String driverId, Location location, double heading, double speed) {}

    public record PaymentInitiated(
            @JsonProperty("payment_id") String paymentId, @JsonProperty("ride_id") String rideId, long amount,
            String method) {}

    public record PaymentCompleted(
            @JsonProperty("payment_id") String paymentId, @JsonProperty("transaction_ref") String transactionRef) {}

    public record PaymentFailed(
            @JsonProperty("payment_id") String paymentId, @JsonProperty("error_code") String errorCode,
            @JsonProperty("error_message") String errorMessage) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Envelope(
            String id, String type, String version, String source, String timestamp,
            @JsonProperty("correlation_id") String correlationId, @JsonProperty("causation_id") String causationId,
            Object payload) {}

    private record Read(String id, String type, String version, String source, String timestamp,
            @JsonProperty("correlation_id") String correlationId, @JsonProperty("causation_id") String causationId,
            JsonNode payload) {}

    private static final ObjectMapper MAPPER =
            new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
    private static final ObjectReader ENVELOPE = MAPPER.readerFor(Read.class);
    private static final Map<String, ObjectReader> PAYLOADS = Map.of(
            "ride.requested", MAPPER.readerFor(RideRequested.class),
            "ride.driver_assigned", MAPPER.readerFor(RideDriverAssigned.class),
            "ride.driver_arrived", MAPPER.readerFor(RideDriverArrived.class),
            "ride.started", MAPPER.readerFor(RideStarted.class),
            "ride.completed", MAPPER.readerFor(RideCompleted.class),
            "ride.rated", MAPPER.readerFor(RideRated.class),
            "driver.location_updated", MAPPER.readerFor(DriverLocationUpdated.class),
            "payment.initiated", MAPPER.readerFor(PaymentInitiated.class),
            "payment.completed", MAPPER.readerFor(PaymentCompleted.class),
            "payment.failed", MAPPER.readerFor(PaymentFailed.class));

    private Events() {}

    /** @throws IllegalArgumentException where the bytes are no event of a known type */
    public static Object decode(byte[] value) {
        try {
            Read read = ENVELOPE.readValue(value);
            ObjectReader payload = read.type() == null ? null : PAYLOADS.get(read.type());
            if (payload == null) {
                throw new IllegalArgumentException("unknown type " + read.type());
            }
            return payload.readValue(read.payload());
        } catch (IOException e) {
            throw new IllegalArgumentException(e);
        }
    }

    public static String key(int n) {
        return "0190f3a4-0000-7000-8000-%012x".formatted(n % 10_000);
    }

    /** The n-th event of the publish workloads. */
    public static byte[] encode(int n, Instant at) {
        var payload = new RideCompleted(key(n), at.toString(), n % 400 / 10.0, n % 90, 5_000 + n % 100_000);
        var envelope = new Envelope(
                "0190f3a4-0001-7000-8000-%012x".formatted(n), "ride.completed", "1.0", "ride-service", at.toString(),
                "0190f3a4-0002-7000-8000-%012x".formatted(n), null, payload);
        try {
            return MAPPER.writeValueAsBytes(envelope);
        } catch (IOException e) {
            throw new IllegalArgumentException(e);
        }
    }
}
