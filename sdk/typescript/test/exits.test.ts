import { context } from "@opentelemetry/api";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import assert from "node:assert/strict";
import { once } from "node:events";
import http, { ClientRequest, get, request } from "node:http";
import http2 from "node:http2";
import { test } from "node:test";
import { WebSocketServer, WebSocket } from "ws";
import { install, using } from "../src/index";
import { calling, serving, sinking } from "./serving";

const early = { request, get }; // As code has them that took hold of them before.

install();

async function answered(call: http.ClientRequest): Promise<void> {
  call.end();
  const [answer] = (await once(call, "response")) as [http.IncomingMessage];
  await once(answer.resume(), "close");
}

/** Ways of calling, each with the URL. */
const CALLS: Readonly<Record<string, (url: string) => Promise<unknown>>> = {
  "http.get": (url) => answered(http.get(url)),
  "http.request": (url) => answered(http.request(url, { headers: { accept: "*/*" } })),
  "http.request with a list of headers": (url) => answered(http.request(url, { headers: ["host", "a", "accept", "*/*"] } as never)),
  "http.request with Expect": (url) => answered(http.request(url, { headers: { expect: "100-continue" } })),
  "a reference to http.request": (url) => answered(early.request(url)),
  "a reference to http.get": (url) => answered(early.get(url)),
  "new ClientRequest": (url) => answered(new ClientRequest(new URL(url))),
  fetch: (url) => fetch(url).then((answer) => answer.text()),
  "fetch with headers": (url) => fetch(url, { headers: { a: "b" } }).then((answer) => answer.text()),
  "undici.request": async (url) => (await (require("undici") as typeof import("undici")).request(url)).body.text(),
};

async function lines(call: (url: string) => Promise<unknown>, words: string[]): Promise<(string | undefined)[]> {
  const seen: (string | undefined)[] = [];
  const server = http.createServer((one, response) => {
    seen.push(...(one.headersDistinct.baggage ?? [undefined]));
    response.end("ok");
  });
  server.on("checkContinue", (one, response) => {
    response.writeContinue();
    server.emit("request", one, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    await using(words, () => call(`http://127.0.0.1:${port}/`));
  } finally {
    server.close();
    server.closeAllConnections();
  }
  return seen;
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`carries overrides without any instrumentation: ${name}`, async () => {
    assert.deepEqual(await lines(call, ["users=pr-42"]), ["override.route.users=pr-42"]);
    assert.deepEqual(await lines(call, []), [undefined]);
  });
}

test("what the service has written stays, and stands before", async () => {
  const by = (baggage: string) => (url: string) => answered(http.get(url, { headers: { baggage } }));
  const byFetch = (baggage: string) => (url: string) => fetch(url, { headers: { baggage } });
  for (const way of [by, byFetch]) {
    assert.deepEqual(await lines(way("team=a"), ["users=pr-42"]), ["team=a,override.route.users=pr-42"]);
    assert.deepEqual(await lines(way("override.route.users=b"), ["users=pr-42"]), ["override.route.users=b"]);
  }
});

test("the call belongs to the request that made it, wherever it is sent", async (t) => {
  const sink = await sinking(t);
  const call = using("users=pr-a", () => http.request(`${sink.url}/late`, { method: "POST" }));
  using("users=pr-b", () => call.end("body"));
  assert.deepEqual(await sink.came("late"), { late: "pr-a" });
});

test("HTTP/2 sessions that another request opened", async (t) => {
  const seen: unknown[] = [];
  const server = http2.createServer((incoming, response) => {
    seen.push(incoming.headers.baggage);
    response.end();
  });
  const session = using("users=opener", () => http2.connect("http://127.0.0.1"));
  session.on("error", () => undefined).destroy();
  const url = await serving(t, server);
  const opened = await using("users=opener", async () => http2.connect(url));
  t.after(() => opened.close());
  for (const words of [["users=pr-a"], []]) {
    await using(words, async () => once(opened.request({ ":path": "/" }).resume(), "close"));
  }
  assert.deepEqual(seen, ["override.route.users=pr-a", undefined]);
});

test("a WebSocket's handshake carries overrides, and its messages are heard under them", async (t) => {
  const sink = await sinking(t);
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (text) => void fetch(`${sink.url}/${text}`)));
  const url = (await serving(t, server)).replace("http", "ws");
  for (const [name, words] of Object.entries({ a: ["users=pr-a"], none: [] })) {
    const socket = using(words, () => new WebSocket(url));
    await once(socket, "open");
    socket.send(name);
    t.after(() => socket.terminate());
  }
  assert.deepEqual(await sink.came("a", "none"), { a: "pr-a", none: "" });
});

test("instrumentations that come later, and what they leave out, lose nothing and write nothing twice", async (t) => {
  new NodeTracerProvider().register();
  const hooks = { ignoreIncomingRequestHook: ({ url = "" }: http.IncomingMessage) => url.startsWith("/ignored") };
  const instrumentations = [
    new HttpInstrumentation({ ...hooks, ignoreOutgoingRequestHook: ({ path }) => Boolean(path?.includes("ignored")) }),
    new UndiciInstrumentation({ ignoreRequestHook: ({ path }) => path.includes("ignored") }),
  ];
  t.after(() => {
    for (const one of instrumentations) one.disable();
    context.disable();
  });
  require("node:http"); // This is when they act.
  require("node:https");
  const sink = await sinking(t);
  const server = http.createServer((incoming, response) => {
    const name = (incoming.url ?? "").slice(1);
    response.on("finish", () => {
      http.get(`${sink.url}/${name}-http`).on("response", (answer) => answer.resume());
      void fetch(`${sink.url}/${name}-fetch`);
    });
    response.end();
  });
  const url = await serving(t, server);
  await Promise.all([calling(`${url}/traced`, "pr-a"), calling(`${url}/ignored`, "pr-b"), calling(`${url}/none`)]);
  assert.deepEqual(
    await sink.came("traced-http", "traced-fetch", "ignored-http", "ignored-fetch", "none-http", "none-fetch"),
    {
      "traced-http": "pr-a",
      "traced-fetch": "pr-a",
      "ignored-http": "pr-b",
      "ignored-fetch": "pr-b",
      "none-http": "",
      "none-fetch": "",
    },
  );
});
