package peers;

import java.util.HashMap;
import java.util.Map;

/** What the bench asks for: {@code WORKLOAD -name value …}; a flag without a value is {@code -work true}. */
public record Options(String workload, Map<String, String> values) {
    public static Options parse(String[] args) {
        var values = new HashMap<String, String>();
        for (int i = 1; i + 1 < args.length; i += 2) {
            values.put(args[i].replaceFirst("^-+", ""), args[i + 1]);
        }
        return new Options(args.length == 0 ? "" : args[0], values);
    }

    public String text(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    public int number(String name, int otherwise) {
        return Integer.parseInt(text(name, String.valueOf(otherwise)));
    }

    public boolean flag(String name) {
        return Boolean.parseBoolean(text(name, "false"));
    }
}
