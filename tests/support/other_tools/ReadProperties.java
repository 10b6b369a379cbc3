// Prints the properties that java.util.Properties reads from stdin: on each line a name and its value, both in base64.
import java.nio.charset.StandardCharsets;
import java.util.*;

public class ReadProperties {
    public static void main(String[] args) throws Exception {
        Properties read = new Properties();
        read.load(System.in);
        for (String name : read.stringPropertyNames())
            System.out.println(base64(name) + " " + base64(read.getProperty(name)));
    }

    static String base64(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
