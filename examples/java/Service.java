import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** A service that returns its name, and calls another one: java Service NAME PORT [SERVICE]. It contains no code of Detour. */
public class Service {
  public static void main(String[] arguments) throws Exception {
    var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).proxy(ProxySelector.getDefault()).build();
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[1])), 0);
    server.createContext("/", exchange -> {
      var answer = arguments[0];
      var status = 200;
      if (arguments.length > 2) {
        var request = HttpRequest.newBuilder(URI.create("http://" + arguments[2] + "/")).build();
        try {
          var next = client.send(request, BodyHandlers.ofString());
          // An error of the other service is also an error here, such as Detour's 503 for a deployment that does not exist.
          status = next.statusCode();
          answer += " > " + next.body().strip();
        } catch (IOException error) {
          status = 502;
          answer += " > " + arguments[2] + " cannot be reached: " + error;
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
        }
      }
      var body = (answer + "\n").getBytes();
      exchange.sendResponseHeaders(status, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }
}
