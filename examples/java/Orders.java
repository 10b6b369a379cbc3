import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Places an order at a vendor and lists all orders, through the gateway: {@code java Orders.java http://127.0.0.1:9301}. */
final class Orders {
    private static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(3)).build();

    private final String base;

    private Orders(String base) {
        this.base = base;
    }

    String place(String item) throws IOException, InterruptedException {
        return send(to("/orders").POST(BodyPublishers.ofString(item)));
    }

    String list() throws IOException, InterruptedException {
        return send(to("/orders").GET());
    }

    private HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(base + path)).timeout(Duration.ofSeconds(70));
    }

    private static String send(HttpRequest.Builder call) throws IOException, InterruptedException {
        HttpResponse<String> response = CLIENT.send(call.build(), BodyHandlers.ofString());
        if (response.statusCode() / 100 != 2) {
            // Only the gateway's own errors have this header. A response of the vendor never has it.
            String why = response.headers().firstValue("x-bootseal-error").orElse("response of the vendor");
            throw new IOException(response.statusCode() + " (" + why + "): " + response.body());
        }
        return response.body();
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Orders orders = new Orders(arguments.length > 0 ? arguments[0] : "http://127.0.0.1:9301");
        System.out.println(orders.place("a lamp"));
        System.out.println(orders.list());
    }
}
