import { context, trace } from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { connect } from "node:net";
import { Readable, pipeline } from "node:stream";
import { test } from "node:test";
import { current, detached, install } from "../src/index";
import { type Sink, calling, serving, sinking } from "./serving";

install();

const BLOCK = "x".repeat(400_000); // More than a socket's buffer holds.

/** What a handler leaves to be done later, each with a name; the call is the one that must carry its overrides. */
type Later = (request: http.IncomingMessage, response: http.ServerResponse, call: (name: string) => unknown) => void;

const LATER: Readonly<Record<string, Later>> = {
  "a lazy body": (_request, response, call) => {
    Readable.from(
      (async function* () {
        for (const part of ["1", "2", "3"]) {
          await call(part);
          yield BLOCK;
        }
      })(),
    ).pipe(response);
  },
  "a pipeline, and its end": (_request, response, call) => {
    const read = async function* (): AsyncGenerator<string> {
      await call("1");
      yield BLOCK;
      await call("2");
    };
    pipeline(Readable.from(read()), response, () => void call("3"));
  },
  "finish, close and the request's close": (request, response, call) => {
    response.on("finish", () => call("1")).on("close", () => call("2"));
    request.on("close", () => call("3"));
    response.end();
  },
  "immediates, ticks and timers": (_request, response, call) => {
    response.end();
    setImmediate(() => void call("1"));
    process.nextTick(() => void call("2"));
    setTimeout(() => void call("3"), 5);
  },
  "an abort signal, an emitter and a promise": (_request, response, call) => {
    const [ending, emitter] = [new AbortController(), new EventEmitter()];
    ending.signal.addEventListener("abort", () => void call("1"));
    emitter.on("done", () => void call("2"));
    response.on("close", () => {
      ending.abort();
      emitter.emit("done");
    });
    response.end();
    void Promise.resolve().then(() => call("3"));
  },
};

function relay(sink: Sink, later: Later): http.Server {
  return http.createServer((request, response) => {
    const id = (request.url ?? "").slice(1);
    later(request, response, (name) => fetch(`${sink.url}/${id}-${name}`));
  });
}

for (const [name, later] of Object.entries(LATER)) {
  test(`runs for its own request, without any instrumentation: ${name}`, async (t) => {
    const sink = await sinking(t);
    const url = await serving(t, relay(sink, later));
    await Promise.all([calling(`${url}/a`, "pr-a"), calling(`${url}/b`, "pr-b"), calling(`${url}/none`)]);
    const names = ["a", "b", "none"].flatMap((id) => ["1", "2", "3"].map((part) => `${id}-${part}`));
    const expected = names.map((one) => [one, one.startsWith("none") ? "" : `pr-${one[0]}`]);
    assert.deepEqual(await sink.came(...names), Object.fromEntries(expected));
  });
}

test("requests that come in one packet keep apart", async (t) => {
  const sink = await sinking(t);
  const url = await serving(t, relay(sink, LATER["finish, close and the request's close"] as Later));
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  t.after(() => socket.destroy());
  const request = (id: string, baggage = "") => `GET /${id} HTTP/1.1\r\nhost: a\r\n${baggage}\r\n`;
  socket.write(request("a", "baggage: override.route.users=pr-a\r\n") + request("none"));
  assert.deepEqual(await sink.came("a-1", "a-2", "a-3", "none-1", "none-2", "none-3"), {
    "a-1": "pr-a",
    "a-2": "pr-a",
    "a-3": "pr-a",
    "none-1": "",
    "none-2": "",
    "none-3": "",
  });
});

test("an override that was encoded counts, and one that can't be read goes on", async (t) => {
  const seen: unknown[] = [];
  const sink = http.createServer((request, response) => {
    seen.push(request.headers.baggage);
    response.end();
  });
  const there = await serving(t, sink);
  const relaying = http.createServer(async (_request, response) => {
    await fetch(there);
    response.end();
  });
  const url = await serving(t, relaying);
  for (const baggage of ["override%2Eroute.users=pr-42", 'override.route.users="pr-42"']) {
    await fetch(url, { headers: { baggage } });
  }
  assert.deepEqual(seen, ["override.route.users=pr-42", "override.route.users=%22pr-42%22"]);
});

test("a server that a request starts serves others under their own overrides", async (t) => {
  const routes: (string | undefined)[] = [];
  let inner: http.Server | undefined;
  const outer = http.createServer((_request, response) => {
    inner = http.createServer((_other, answer) => {
      routes.push(current().route("users"));
      answer.end();
    });
    void serving(t, inner).then((url) => response.end(url));
  });
  const answer = await calling(await serving(t, outer), "pr-a");
  const url = /http:\S+?(?=\r|$)/.exec(answer)?.[0] ?? "";
  await calling(url);
  await calling(url, "pr-b");
  assert.deepEqual(routes, [undefined, "pr-b"]);
});

test("suppressed tracing changes nothing, and neither does a span that is not recorded", async (t) => {
  const sink = await sinking(t);
  const server = http.createServer(async (_request, response) => {
    await context.with(suppressTracing(context.active()), () => fetch(`${sink.url}/suppressed`));
    const span = trace.wrapSpanContext({ traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 0 });
    await context.with(trace.setSpan(context.active(), span), () => fetch(`${sink.url}/unsampled`));
    response.end();
  });
  await calling(await serving(t, server), "pr-a");
  assert.deepEqual(await sink.came("suppressed", "unsampled"), { suppressed: "pr-a", unsampled: "pr-a" });
});

test("what a request detaches has no overrides, and what it starts has none", async (t) => {
  const sink = await sinking(t);
  const server = http.createServer((_request, response) => {
    detached(() => setTimeout(() => void fetch(`${sink.url}/detached`), 1));
    response.end();
  });
  await calling(await serving(t, server), "pr-a");
  assert.deepEqual(await sink.came("detached"), { detached: "" });
});

test("the body of an HTTP/2 request, and the end of its stream, are heard under its overrides", async (t) => {
  const sink = await sinking(t);
  const server = http2.createServer();
  server.on("stream", (stream, headers) => {
    const id = String(headers[":path"]).slice(1);
    stream.on("data", () => void fetch(`${sink.url}/${id}-data`));
    stream.on("close", () => void fetch(`${sink.url}/${id}-close`));
    stream.on("end", () => {
      stream.respond();
      stream.end("ok");
    });
  });
  const session = http2.connect(await serving(t, server));
  t.after(() => session.close());
  for (const [id, baggage] of [
    ["a", "override.route.users=pr-a"],
    ["none", "team=rides"],
  ] as const) {
    const stream = session.request({ ":method": "POST", ":path": `/${id}`, baggage });
    stream.end("body");
    await once(stream.resume(), "close");
  }
  assert.deepEqual(await sink.came("a-data", "a-close", "none-data", "none-close"), {
    "a-data": "pr-a",
    "a-close": "pr-a",
    "none-data": "",
    "none-close": "",
  });
});

test("HTTP/2 in the clothes of HTTP/1, and an upgraded connection, are requests as well", async (t) => {
  const routes: unknown[] = [];
  const url = await serving(
    t,
    http2.createServer((_request, response) => {
      routes.push(current().route("users"));
      response.end();
    }),
  );
  const session = http2.connect(url);
  t.after(() => session.close());
  const stream = session.request({ ":path": "/", baggage: "override.route.users=pr-a" });
  await once(stream.resume(), "close");
  const upgrading = http.createServer().on("upgrade", (_request, socket) => {
    socket.on("data", () => {
      routes.push(current().route("users"));
      socket.end();
    });
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n");
  });
  const { port } = new URL(await serving(t, upgrading));
  const socket = connect(Number(port), "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: a\r\nbaggage: override.route.users=pr-b\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n");
  await once(socket, "data");
  socket.write("hello");
  await once(socket.resume(), "close");
  assert.deepEqual(routes, ["pr-a", "pr-b"]);
});
