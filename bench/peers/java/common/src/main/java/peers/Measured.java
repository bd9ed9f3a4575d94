package peers;

import java.util.Arrays;
import java.util.Locale;

/** The line that the bench reads from standard output. */
public final class Measured {
    private Measured() {}

    public static void print(String settings, int records, double seconds, double firstMs, double[] latenciesMs) {
        var line = new StringBuilder("{\"settings\":\"").append(settings).append('"');
        line.append(",\"records\":").append(records).append(",\"seconds\":").append(number(seconds));
        if (firstMs > 0) {
            line.append(",\"first_ms\":").append(number(firstMs));
        }
        if (latenciesMs != null && latenciesMs.length > 0) {
            Arrays.sort(latenciesMs);
            line.append(",\"latency_ms\":{\"p50\":").append(number(at(latenciesMs, 0.5)));
            line.append(",\"p99\":").append(number(at(latenciesMs, 0.99)));
            line.append(",\"p99.9\":").append(number(at(latenciesMs, 0.999))).append('}');
        }
        System.out.println(line.append('}'));
    }

    private static double at(double[] sorted, double share) {
        return sorted[Math.min((int) (share * sorted.length), sorted.length - 1)];
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.6f", value);
    }

    /** Waits as long as the record's header says. */
    public static void work(byte[] header) {
        if (header == null) {
            return;
        }
        long us = Long.parseLong(new String(header));
        try {
            Thread.sleep(us / 1000, (int) (us % 1000) * 1000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
