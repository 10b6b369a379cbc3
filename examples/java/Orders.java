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
        HttpResponse<String> answer = CLIENT.send(call.build(), BodyHandlers.ofString());
        if (answer.statusCode() / 100 != 2) {
            // Where the gateway itself could not do it, this says why; the vendor's own answers do not have it.
            String why = answer.headers().firstValue("x-bootseal-error").orElse("the vendor's answer");
            throw new IOException(answer.statusCode() + " (" + why + "): " + answer.body());
        }
        return answer.body();
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Orders orders = new Orders(arguments.length > 0 ? arguments[0] : "http://127.0.0.1:9301");
        System.out.println(orders.place("a lamp"));
        System.out.println(orders.list());
    }
}
