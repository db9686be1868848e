/** Real servers on the loopback interface: one that notes what arrives, and others that call it. */

import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo, Server } from "node:net";
import type { TestContext } from "node:test";

/** Serves on a free port until the test ends, and returns its URL. */
export async function serving(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    (server as Partial<http.Server>).closeAllConnections?.();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export interface Sink {
  readonly url: string;
  /** The route of `users` that each call came with, by its path without the slash; "" for none. */
  readonly seen: Map<string, string>;
  /** Waits until these calls have come, and returns what each came with. */
  came(...names: string[]): Promise<Record<string, string | undefined>>;
}

const WAIT_MS = 10_000;

/** Serves what all others call. */
export async function sinking(t: TestContext): Promise<Sink> {
  const seen = new Map<string, string>();
  const server = http.createServer((request, response) => {
    const header = String(request.headers.baggage ?? "");
    const routes = [...header.matchAll(/override\.route\.users=([^,]*)/g)].map(([, route]) => route);
    seen.set((request.url ?? "").slice(1), routes.join("+"));
    response.end("ok");
  });
  const url = await serving(t, server);
  const came = async (...names: string[]) => {
    const deadline = Date.now() + WAIT_MS;
    while (!names.every((name) => seen.has(name))) {
      assert.ok(Date.now() < deadline, `${names} did not all come: ${JSON.stringify([...seen])}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return Object.fromEntries(names.map((name) => [name, seen.get(name)]));
  };
  return { url, seen, came };
}

/** Calls with a client that no instrumentation and no mend knows: what it sends is what it is reported. */
export function calling(url: string, route?: string): Promise<string> {
  const { hostname, port, pathname } = new URL(url);
  const baggage = route ? `baggage: override.route.users=${route}\r\n` : "";
  const text = `GET ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\n${baggage}connection: close\r\n\r\n`;
  return new Promise((resolve, reject) => {
    const { connect } = require("node:net") as typeof import("node:net");
    let answer = "";
    connect(Number(port), hostname)
      .on("data", (chunk) => {
        answer += chunk.toString();
      })
      .on("error", reject)
      .on("close", () => resolve(answer))
      .write(text);
  });
}
