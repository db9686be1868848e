import { ROOT_CONTEXT, context, propagation } from "@opentelemetry/api";
import assert from "node:assert/strict";
import http from "node:http";
import { type TestContext, test } from "node:test";
import { current, detached, flag, install, underCarried, using } from "../src/index";
import { afterResponse } from "../src/scopes";
import { calling, serving, sinking } from "./serving";
import { warningsOf } from "./setup";

install();

function endingAfter(t: TestContext, text: string): void {
  process.env.DETOUR_AFTER_RESPONSE = text;
  t.after(() => {
    delete process.env.DETOUR_AFTER_RESPONSE;
  });
}

test("work that goes on behind the response keeps its overrides for a time", async (t) => {
  const sink = await sinking(t);
  let later: () => unknown = () => undefined;
  const server = http.createServer((_request, response) => {
    const waiting = new Promise<void>((resolve) => {
      later = resolve;
    });
    void waiting.then(() => fetch(`${sink.url}/later`));
    response.end();
  });
  await calling(await serving(t, server), "pr-42");
  later();
  assert.deepEqual(await sink.came("later"), { later: "pr-42" });
});

test("a timer that a request starts has its overrides for a time, and then none", async (t) => {
  endingAfter(t, "300ms");
  const sink = await sinking(t);
  let answered = false;
  let count = 0;
  const server = http.createServer((_request, response) => {
    const refresh = setInterval(function refreshing() {
      fetch(`${sink.url}/${answered ? "later" : "during"}-${count++}`).catch(() => undefined); // The sink may be gone.
    }, 10);
    t.after(() => clearInterval(refresh));
    setTimeout(() => response.end("ok"), 100);
  });
  const warnings = await warningsOf(async () => {
    await calling(await serving(t, server), "pr-42");
    answered = true;
    const deadline = Date.now() + 10_000;
    while (![...sink.seen].some(([name, route]) => name.startsWith("later") && route === "")) {
      assert.ok(Date.now() < deadline, "it keeps its overrides");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  const inOrder = [...sink.seen].sort(([a], [b]) => Number(a.split("-")[1]) - Number(b.split("-")[1]));
  const routes = inOrder.map(([, route]) => route);
  assert.equal(sink.seen.get("during-0"), "pr-42");
  assert.deepEqual([...routes].sort().reverse(), routes, "they do not come again");
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] ?? "",
    /^setInterval refreshing \(.*scopes\.test\.js.*\) outlived its request by more than 0\.3 s: it no longer carries override\.route\.users=pr-42\. If it is meant to outlive requests, start it within detached\(\)$/,
  );
});

test("loops that wait, and each link of a chain of timers, end as well", async (t) => {
  endingAfter(t, "0");
  const routes: (string | undefined)[][] = [];
  const server = http.createServer((_request, response) => {
    const seen: (string | undefined)[] = [];
    routes.push(seen);
    response.once("close", async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      seen.push(current().route("users"), String(flag("f", false)));
      setTimeout(() => setTimeout(() => seen.push(current().route("users")), 1), 1);
    });
    seen.push(current().route("users"));
    response.end();
  });
  await calling(await serving(t, server), "pr-a");
  while ((routes[0]?.length ?? 0) < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(routes, [["pr-a", undefined, "false", undefined]]);
});

test("what a stream serves goes on until its end, however long that is", async (t) => {
  endingAfter(t, "0");
  const routes: (string | undefined)[] = [];
  const server = http.createServer((_request, response) => {
    response.flushHeaders();
    const writing = setInterval(() => {
      routes.push(current().route("users"));
      response.write("x");
      if (routes.length < 5) return;
      clearInterval(writing);
      response.end();
    }, 2);
  });
  await calling(await serving(t, server), "pr-a");
  assert.deepEqual(routes, Array(5).fill("pr-a"));
});

test("a client that goes away ends its request", async (t) => {
  endingAfter(t, "0");
  let over: () => void = () => undefined;
  const isOver = new Promise<void>((resolve) => {
    over = resolve;
  });
  const server = http.createServer((request) => {
    const waiting = setInterval(() => {
      if (current().size > 0) return;
      clearInterval(waiting);
      over();
    }, 5);
    request.socket.destroy();
  });
  await calling(await serving(t, server), "pr-a").catch(() => undefined);
  await isOver;
});

test("a message starts afresh in what outlived a request, and ends with its handler", async (t) => {
  endingAfter(t, "0");
  const routes: (string | undefined)[] = [];
  const handle = async (baggage: string) => {
    await underCarried({ baggage }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      routes.push(current().route("users"));
      setTimeout(() => routes.push(current().route("users")), 20);
    });
  };
  let consume: () => Promise<void> = async () => undefined;
  await using("users=first", async () => {
    consume = context.bind(context.active(), () => handle("override.route.users=message"));
  });
  await consume();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(routes, ["message", undefined]);
});

test("without an observed end, overrides apply for some time after they were read", () => {
  const read = propagation.extract(ROOT_CONTEXT, { baggage: "override.route.users=pr-42" });
  assert.equal(current(read).route("users"), "pr-42");
});

test("an error of what is run stays an error, and its promise's stays unhandled", async () => {
  assert.throws(() => using("users=a", () => assert.fail("mine")), /mine/);
  await assert.rejects(
    using("users=a", () => Promise.reject(new Error("mine"))),
    /mine/,
  );
  const lazy = { then: () => assert.fail("it was begun") };
  assert.equal(using("users=a", () => lazy), lazy);
});

test("what is detached keeps the rest of its context", () => {
  const read = propagation.extract(ROOT_CONTEXT, { baggage: "team=a,override.route.users=pr-42" });
  const left: Record<string, string> = {};
  context.with(read, () => detached(() => propagation.inject(context.active(), left)));
  assert.deepEqual(left, { baggage: "team=a" });
});

for (const [text, milliseconds] of Object.entries({ "60": 60_000, "60s": 60_000, "1.5": 1500, "500ms": 500, "2m": 120_000, "0": 0, "": 60_000 })) {
  test(`DETOUR_AFTER_RESPONSE=${text} is ${milliseconds} ms`, (t) => {
    endingAfter(t, text);
    assert.equal(afterResponse(), milliseconds);
  });
}

test("an unreadable time is reported, and the default applies", async (t) => {
  endingAfter(t, "soon");
  const warnings = await warningsOf(() => assert.equal(afterResponse(), 60_000));
  assert.match(warnings.join(), /DETOUR_AFTER_RESPONSE=soon is ignored: expected seconds/);
});
