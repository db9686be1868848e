import com.sun.net.httpserver.HttpServer;
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
      if (arguments.length > 2) {
        var request = HttpRequest.newBuilder(URI.create("http://" + arguments[2] + "/")).build();
        try {
          answer += " > " + client.send(request, BodyHandlers.ofString()).body().strip();
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
        }
      }
      var body = (answer + "\n").getBytes();
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }
}
