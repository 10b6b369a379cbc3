import java.io.IOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Sends a body of 10 MiB to each URL with both clients of the JDK, and prints the status that each of them gets. */
public class Sends {
  public static void main(String[] urls) throws Exception {
    byte[] body = new byte[10 << 20];
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    for (String url : urls) {
      HttpURLConnection call = (HttpURLConnection) URI.create(url).toURL().openConnection();
      call.setRequestMethod("POST");
      call.setDoOutput(true);
      call.setFixedLengthStreamingMode(body.length);
      // An exception while it sends is not the last word: the answer may have arrived.
      try (OutputStream out = call.getOutputStream()) {
        out.write(body);
      } catch (IOException broken) {
        System.out.println("broken: " + broken.getMessage());
      }
      System.out.println(call.getResponseCode());
      HttpRequest request = HttpRequest.newBuilder(URI.create(url)).POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
      System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
    }
  }
}
