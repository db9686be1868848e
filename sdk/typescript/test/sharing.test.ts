/** Connections and clients that all requests use; with a real PostgreSQL at `POSTGRES_URL`, too. */

import { Server, ServerCredentials, credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { EventEmitter, once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { Writable } from "node:stream";
import { current, detached, install } from "../src/index";
import { calling, serving, sinking } from "./serving";
import { warningsOf } from "./setup";

install();

type Note = (where: string) => unknown;
/** What a request does with a shared client, until it is done. */
type Work = (note: Note) => Promise<unknown>;

function here(own: string): string {
  const route = current().route("users") ?? "none";
  return route === own ? "own" : route;
}

/** Sends requests with overrides and without, one by one and many at once; gives what each saw, by its own route. */
async function seen(t: TestContext, work: Work): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>();
  const server = http.createServer((request, response) => {
    const own = (request.url ?? "").slice(1);
    const routes = new Set<string>();
    found.set(own, routes);
    void work(() => routes.add(here(own))).then(() => response.end(), (error) => response.writeHead(500).end(String(error)));
  });
  const url = await serving(t, server);
  const call = async (own: string) => {
    const answer = await detached(() => calling(`${url}/${own}`, own.startsWith("none") ? undefined : own));
    assert.match(answer, /^HTTP\/1.1 200/);
  };
  for (const own of ["pr-a", "none", "pr-b"]) await call(own);
  await Promise.all(Array.from({ length: 12 }, (_, index) => call(index % 3 ? `pr-${index}` : `none-${index}`)));
  for (const [own, routes] of found) if (own.startsWith("none") && routes.delete("none")) routes.add("own");
  return found;
}

async function isOwn(t: TestContext, work: Work): Promise<void> {
  for (const [own, routes] of await seen(t, work)) assert.deepEqual([...routes], ["own"], own);
}

async function isNobodys(t: TestContext, work: Work): Promise<void> {
  const found = await seen(t, work);
  for (const [own, routes] of found) {
    const allowed = own.startsWith("none") ? ["own"] : ["own", "none"];
    assert.ok([...routes].every((one) => allowed.includes(one)), `${own} saw ${[...routes]}`);
  }
  assert.deepEqual([...(found.get("pr-b") ?? [])], ["none"]);
}

const echo = () => net.createServer((socket) => socket.pipe(socket).on("error", () => undefined));

async function listening(t: TestContext, server: net.Server): Promise<number> {
  return Number(new URL(await serving(t, server)).port);
}

test("a request's own connection is heard under its overrides", async (t) => {
  const port = await listening(t, echo());
  await isOwn(t, async (note) => {
    const socket = net.connect(port).on("connect", () => note("connect")).on("data", () => note("data") && socket.end());
    socket.write("x");
    await once(socket, "close");
  });
});

test("callbacks of a connection that several requests use have no overrides", async (t) => {
  const port = await listening(t, echo());
  const waiting: (() => void)[] = [];
  let socket: net.Socket | undefined;
  await isNobodys(t, (note) => {
    socket ??= net.connect(port).on("data", (data) => {
      for (const _ of String(data)) waiting.shift()?.();
    });
    return new Promise<void>((resolve) => {
      waiting.push(() => {
        note("called back");
        resolve();
      });
      socket?.write("x");
    });
  });
  socket?.destroy();
});

test("what such a callback calls is named once, with what to do", async (t) => {
  const port = await listening(t, echo());
  const sink = await sinking(t);
  let socket: net.Socket | undefined;
  let call: () => void = () => undefined;
  const server = http.createServer((request, response) => {
    call = function callsBack() {
      void fetch(`${sink.url}${request.url}`).then(() => response.end());
    };
    socket ??= net.connect(port).on("data", () => call());
    socket.write("x");
  });
  const url = await serving(t, server);
  const warnings = await warningsOf(async () => {
    for (const own of ["pr-a", "pr-b", "pr-c"]) await calling(`${url}/${own}`, own);
  });
  socket?.destroy();
  assert.deepEqual(await sink.came("pr-a", "pr-b", "pr-c"), { "pr-a": "pr-a", "pr-b": "", "pr-c": "" });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /callsBack .*calls without overrides: it is called back by a connection that several requests use/);
  assert.match(warnings[0] ?? "", /Await a promise there, or use AsyncResource\.bind\(callback\)/);
});

test("a connection that outlives the request that opened it no longer has its overrides", async (t) => {
  let push: () => void = () => undefined;
  const port = await listening(t, net.createServer((socket) => {
    push = () => socket.write("pushed");
  }));
  const routes: unknown[] = [];
  let socket: net.Socket | undefined;
  const server = http.createServer((_request, response) => {
    socket = net.connect(port).once("connect", () => response.end()).on("data", () => routes.push(current().route("users")));
  });
  await calling(await serving(t, server), "pr-a");
  await new Promise(setImmediate);
  push();
  await once(socket as net.Socket, "data");
  socket?.destroy();
  assert.deepEqual(routes, [undefined]);
});

test("threads, child processes and UDP that several requests use have no overrides, too", async (t) => {
  const script = "require('node:worker_threads').parentPort.on('message', (id) => require('node:worker_threads').parentPort.postMessage(id))";
  const there = createSocket("udp4").on("message", (message, { port }) => there.send(message, port));
  t.after(() => there.close());
  await new Promise<void>((resolve) => there.bind(0, "127.0.0.1", resolve));
  const { port } = there.address() as AddressInfo;
  const made: Readonly<Record<string, () => readonly [EventEmitter, (id: string) => unknown, () => unknown]>> = {
    thread: () => {
      const worker = new Worker(script, { eval: true });
      return [worker, (id) => worker.postMessage(id), () => worker.terminate()];
    },
    process: () => {
      const stdio = ["ignore", "ignore", "ignore", "ipc"] as never;
      const child = spawn(process.execPath, ["-e", "process.on('message', (id) => process.send(id))"], { stdio });
      return [child, (id) => child.send(id), () => child.kill()];
    },
    udp: () => {
      const socket = createSocket("udp4");
      return [socket, (id) => socket.send(id, port, "127.0.0.1"), () => socket.close()];
    },
  };
  for (const [name, make] of Object.entries(made)) {
    await t.test(name, async (t) => {
      const waiting = new Map<string, () => void>();
      let one: ReturnType<typeof make> | undefined;
      let count = 0;
      await isNobodys(t, (note) => {
        if (!one) one = make();
        if (count === 0) one[0].on("message", (id: unknown) => waiting.get(String(id))?.());
        const id = String(count++);
        return new Promise<void>((resolve) => {
          waiting.set(id, () => {
            note("answered");
            resolve();
          });
          one?.[1](id);
        });
      });
      await one?.[2]();
    });
  }
});

test("who waits for a place in a pool goes on as who waits, and can be taken off", async (t) => {
  class Pool extends EventEmitter {
    #free = 1;
    acquire(then: () => void): void {
      if (this.#free > 0) {
        this.#free--;
        setImmediate(then);
      } else this.once("free", () => this.acquire(then));
    }
    release(): void {
      this.#free++;
      this.emit("free");
    }
  }
  const pool = new Pool();
  pool.setMaxListeners(0);
  await isOwn(t, (note) => new Promise<void>((resolve) => {
    pool.acquire(() => {
      note("acquired");
      const taken = () => assert.fail("it was taken off");
      pool.once("free", taken).off("free", taken);
      setTimeout(() => {
        pool.release();
        resolve();
      }, 1);
    });
  }));
});

test("a truncated response is handled in its own request, even on another one's connection", async (t) => {
  const port = await listening(t, http.createServer((request, response) => {
    if (request.url === "/whole") return response.end("x");
    response.writeHead(200, { "content-length": 100 }).write("x");
    return setTimeout(() => response.destroy(), 1);
  }));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
  t.after(() => agent.destroy());
  const get = (path: string, hear: (answer: http.IncomingMessage, call: http.ClientRequest) => void) => {
    const call = http.get({ port, path, agent }, (answer) => hear(answer, call));
    return once(call, "close");
  };
  await isOwn(t, async (note) => {
    await get("/whole", (answer) => answer.resume());
    await get("/", (answer, call) => {
      for (const event of ["aborted", "close", "data", "error"]) answer.on(event, () => note(event));
      call.on("close", () => note("call")).on("error", () => note("error"));
    });
  });
});

test("undici's handlers, and all of gRPC's responses, run in their own request", async (t) => {
  const undici = require("undici") as typeof import("undici");
  const url = await serving(t, http.createServer((_request, response) => setTimeout(() => response.end("x"), 2)));
  const pool = new undici.Pool(url, { connections: 2 });
  t.after(() => pool.close());
  const unary = { path: "/test.Relay/Call", requestStream: false, responseStream: true };
  const coding = { requestSerialize: Buffer.from, requestDeserialize: String, responseSerialize: Buffer.from, responseDeserialize: String };
  const relay = { Call: { ...unary, ...coding } };
  const server = new Server();
  server.addService(relay as never, { Call: (call: Writable) => setTimeout(() => call.write("x") && call.end(), 1) });
  const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", ServerCredentials.createInsecure());
  t.after(() => server.forceShutdown());
  const Client = makeGenericClientConstructor(relay as never, "Relay");
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
  t.after(() => client.close());
  const write = (note: Note) => new Writable({ write: (_part, _encoding, done) => void note("write") === undefined && done() });
  await isOwn(t, async (note) => {
    await pool.stream({ path: "/", method: "GET" }, () => write(note));
    const call = (client as never as Record<string, (text: string) => EventEmitter>).Call?.("x");
    for (const event of ["metadata", "data", "status", "end"]) call?.on(event, () => note(event));
    await once(call as EventEmitter, "end");
  });
});

const database = process.env.POSTGRES_URL ?? "";

test("PostgreSQL's pool, its clients and its queries call back in their own request", { skip: !database && "POSTGRES_URL names none" }, async (t) => {
  const { Pool, Query } = require("pg");
  const pool = new Pool({ connectionString: database, max: 2 });
  t.after(() => pool.end());
  await isOwn(t, async (note) => {
    const called = (begin: (done: (error?: Error) => void) => void) =>
      new Promise<void>((resolve, reject) => begin((error) => {
        note("called back");
        if (error) reject(error);
        else resolve();
      }));
    await called((done) => pool.query("SELECT pg_sleep(0.002)", done));
    await called((done) => pool.connect((error: Error, client: { query: Function }, release: () => void) => {
      note("connected");
      client.query("SELECT 1", () => {
        release();
        done(error);
      });
    }));
    const client = await pool.connect();
    const query = client.query(new Query("SELECT 1"));
    for (const event of ["row", "end"]) query.on(event, () => note(event));
    await once(query, "end");
    client.release();
  });
});
