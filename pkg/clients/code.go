package clients

import "bottle/pkg/canary"

// Programs in the clients' own languages, with the canary's address as their first
// argument. Each asks for a page, then does what else it can, and prints what it
// is sent: an event stream it leaves after the first event.

const pythonURL = `import sys, urllib.request as u
print(u.urlopen(sys.argv[1] + "` + canary.GetPath + `", timeout=8).read().decode())
print(u.urlopen(sys.argv[1] + "` + canary.StreamPath + `", timeout=8).readline().decode())
`

const pythonRequests = `import sys
try: import requests
except ImportError: sys.exit("` + None + `")
print(requests.get(sys.argv[1] + "` + canary.GetPath + `", timeout=8).text)
r = requests.get(sys.argv[1] + "` + canary.StreamPath + `", timeout=8, stream=True)
print(next(r.iter_lines(chunk_size=1)).decode())
r.close()
`

const nodeFetch = `const base = process.argv[1];
if (!globalThis.fetch) { console.error("` + None + `"); process.exit(1); }
(async () => {
  console.log(await (await fetch(base + "` + canary.GetPath + `")).text());
  const r = await fetch(base + "` + canary.StreamPath + `");
  const { value } = await r.body.getReader().read();
  console.log(Buffer.from(value).toString());
  if (!globalThis.WebSocket) { console.log("` + noSocket + `"); process.exit(); }
  const s = new WebSocket(base.replace("https", "wss") + "` + canary.SocketPath + `");
  s.onmessage = e => console.log(e.data);
  s.onerror = s.onclose = () => process.exit();
})().catch(e => { console.error(String(e.cause || e)); process.exit(1); });
`

const nodeHTTPS = `const https = require("https"), base = process.argv[1];
const fail = e => { console.error(String(e)); process.exit(1); };
https.get(base + "` + canary.GetPath + `", r => r.on("data", d => console.log(String(d))).on("end", () =>
  https.get(base + "` + canary.StreamPath + `", r => r.once("data", d => {
    console.log(String(d));
    r.destroy();
    https.get(base + "` + canary.SocketPath + `", { headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==" } }).on("upgrade", (r, s, head) => {
        console.log(String(head));
        s.on("data", d => console.log(String(d))).on("end", () => process.exit());
      }).on("error", fail);
  }).on("error", () => {})).on("error", fail))).on("error", fail);
`

const javaHTTP = `import java.net.URI;
import java.net.http.*;
import java.util.concurrent.*;

public class Try {
  public static void main(String[] args) throws Exception {
    HttpClient c = HttpClient.newHttpClient();
    HttpRequest get = HttpRequest.newBuilder(URI.create(args[0] + "` + canary.GetPath + `")).build();
    System.out.println(c.send(get, HttpResponse.BodyHandlers.ofString()).body());
    HttpRequest sse = HttpRequest.newBuilder(URI.create(args[0] + "` + canary.StreamPath + `")).build();
    System.out.println(c.send(sse, HttpResponse.BodyHandlers.ofLines()).body().findFirst().get());
    CountDownLatch done = new CountDownLatch(1);
    c.newWebSocketBuilder().buildAsync(URI.create(args[0].replace("https", "wss") + "` + canary.SocketPath + `"), new WebSocket.Listener() {
      public CompletionStage<?> onText(WebSocket s, CharSequence text, boolean last) {
        System.out.println(text);
        done.countDown();
        return null;
      }
    }).get(5, TimeUnit.SECONDS);
    done.await(3, TimeUnit.SECONDS);
    System.exit(0);
  }
}
`

const rubyHTTP = `require "net/http"
base = URI(ARGV[0])
Net::HTTP.start(base.host, base.port, use_ssl: true) { |h| puts h.get("` + canary.GetPath + `").body }
begin
  Net::HTTP.start(base.host, base.port, use_ssl: true) { |h| h.request_get("` + canary.StreamPath + `") { |r| r.read_body { |b| puts b; $stdout.flush; exit } } }
rescue SystemExit
end
`
