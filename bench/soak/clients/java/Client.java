// One client in Java, as client.py: `java -cp JARS Client.java apache|webclient CONCURRENCY`. Neither keeps cookies.
//
// Apache HttpClient 5 sends the whole URL to its proxy, reactor-netty opens a tunnel (CONNECT) to each host.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.hc.client5.http.classic.methods.HttpGet;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;
import reactor.netty.transport.ProxyProvider;

public class Client {
  interface Library {
    void send(JsonNode request, ObjectNode answer) throws Exception;
  }

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofSeconds(30);

  public static void main(String[] arguments) throws Exception {
    Library library = arguments[0].equals("apache") ? new Apache() : new Reactive();
    ExecutorService threads = Executors.newFixedThreadPool(Integer.parseInt(arguments[1]));
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonNode request = JSON.readTree(line);
      threads.execute(() -> answer(library, request));
    }
    threads.shutdown();
    threads.awaitTermination(60, TimeUnit.SECONDS);
    System.exit(0);
  }

  private static void answer(Library library, JsonNode request) {
    ObjectNode answer = JSON.createObjectNode().put("id", request.get("id").asInt());
    try {
      library.send(request, answer);
    } catch (Exception error) {
      answer.put("error", words(error));
    }
    synchronized (System.out) {
      System.out.println(answer);
      System.out.flush();
    }
  }

  private static String words(Throwable error) {
    StringBuilder words = new StringBuilder();
    for (Throwable one = error; one != null; one = one.getCause()) {
      if (one instanceof ConnectException) return "refused";
      words.append(one).append(" ");
    }
    return words.toString().strip();
  }

  private static boolean isProxied(JsonNode request) {
    return request.get("proxied").asBoolean();
  }

  private static String url(JsonNode request) {
    String url = request.get("url").asText();
    return isProxied(request) ? url : "http://127.0.0.1:" + request.get("port").asInt() + url;
  }

  static class Apache implements Library {
    private final Map<Integer, CloseableHttpClient> proxied = new ConcurrentHashMap<>();
    private final CloseableHttpClient direct = client(null);

    private static CloseableHttpClient client(HttpHost proxy) {
      var pool = PoolingHttpClientConnectionManagerBuilder.create().setMaxConnPerRoute(16).setMaxConnTotal(64).build();
      return HttpClients.custom().setConnectionManager(pool).setProxy(proxy).disableCookieManagement().build();
    }

    public void send(JsonNode request, ObjectNode answer) throws Exception {
      int port = request.get("port").asInt();
      CloseableHttpClient client = isProxied(request)
          ? proxied.computeIfAbsent(port, one -> client(new HttpHost("http", "127.0.0.1", one)))
          : direct;
      HttpGet get = new HttpGet(url(request));
      request.get("headers").fields().forEachRemaining(one -> get.setHeader(one.getKey(), one.getValue().asText()));
      client.execute(get, got -> {
        answer.put("status", got.getCode()).put("body", EntityUtils.toString(got.getEntity()));
        return null;
      });
    }
  }

  static class Reactive implements Library {
    private final Map<Integer, WebClient> proxied = new ConcurrentHashMap<>();
    private final WebClient direct = client(HttpClient.create());

    private static WebClient client(HttpClient http) {
      return WebClient.builder().clientConnector(new ReactorClientHttpConnector(http.responseTimeout(LIMIT))).build();
    }

    private static WebClient through(int port) {
      return client(HttpClient.create().proxy(
          proxy -> proxy.type(ProxyProvider.Proxy.HTTP).host("127.0.0.1").port(port)));
    }

    public void send(JsonNode request, ObjectNode answer) {
      WebClient client = isProxied(request)
          ? proxied.computeIfAbsent(request.get("port").asInt(), Reactive::through)
          : direct;
      client.get().uri(url(request))
          .headers(all -> request.get("headers").fields()
              .forEachRemaining(one -> all.set(one.getKey(), one.getValue().asText())))
          .exchangeToMono(got -> got.bodyToMono(String.class).defaultIfEmpty("")
              .doOnNext(body -> answer.put("status", got.statusCode().value()).put("body", body)))
          .block(LIMIT);
    }
  }
}
