// Java's own HTTP server: `java Server.java PORT LOG`. answers with the request's body length, in chunks for
// /chunked; /missing is a 404. Writes to LOG, for every request: status, method, two unknowns, seconds in the handler.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.FileWriter;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class Server {
  public static void main(String[] arguments) throws IOException {
    FileWriter log = new FileWriter(arguments[1]);
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
    server.createContext("/", exchange -> {
      long begin = System.nanoTime();
      int status = answer(exchange);
      synchronized (log) {
        log.write(status + " " + exchange.getRequestMethod() + " - - " + (System.nanoTime() - begin) / 1e9 + "\n");
        log.flush();
      }
    });
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.start();
  }

  static int answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    byte[] body = (exchange.getRequestBody().readAllBytes().length + "\n").getBytes();
    int status = path.equals("/missing") ? 404 : 200;
    boolean head = exchange.getRequestMethod().equals("HEAD");
    // 0 is a chunked body, -1 is none.
    exchange.sendResponseHeaders(status, head ? -1 : path.equals("/chunked") ? 0 : body.length);
    if (!head) {
      exchange.getResponseBody().write(body);
    }
    exchange.close();
    return status;
  }
}
