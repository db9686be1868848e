/** The examples of README.md, line by line (tests/docs compares them): what `detour-mesh` itself exports. */

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { InMemoryProvider } from "@openfeature/server-sdk";
import { install } from "detour-mesh";
import { current, flag, using } from "detour-mesh";
import { detached } from "detour-mesh";
import { database } from "detour-mesh";
import { carried, underCarried } from "detour-mesh";
import { OpenFeature } from "@openfeature/server-sdk";
import { OverrideProvider } from "detour-mesh/openfeature";

install({ service: "rides" });

const route = (): string | undefined => current().route("users");

test("overrides are read, and set for a while", async () => {
  const seen: unknown[] = [];
  const fetch = async (url: string): Promise<void> => void seen.push([url, route()]);
  const run = async (): Promise<void> => {
    current().route("users");
    flag("new-checkout", false);
    seen.push([route(), flag("new-checkout", false)]);
  };
  await using("users=pr-42", () => fetch("http://rides/rides"));
  await using(["users=pr-42", "config.new-checkout=on"], run);
  await run();
  assert.deepEqual(seen, [
    ["http://rides/rides", "pr-42"],
    ["pr-42", true],
    [undefined, false],
  ]);
});

test("work that is meant to outlive requests runs without their overrides", () => {
  const seen: unknown[] = [];
  const refresh = (): void => void seen.push(route());
  const setInterval = (run: () => void, _milliseconds: number): void => run();
  using("users=pr-42", () => {
    detached(() => setInterval(refresh, 30_000));
    refresh();
  });
  assert.deepEqual(seen, [undefined, "pr-42"]);
});

test("flags come through OpenFeature", async () => {
  class FlagdProvider extends InMemoryProvider {}
  await OpenFeature.setProviderAndWait(new OverrideProvider(new FlagdProvider()));
  const isOn = (): Promise<boolean> => OpenFeature.getClient().getBooleanValue("new-checkout", false);
  assert.deepEqual([await using("config.new-checkout=on", isOn), await isOn()], [true, false]);
});

test("a request chooses its database", () => {
  const pools: Record<string, string> = { main: "main's", copy: "copy's" };
  const chosen = (): string | undefined => {
    const pool = pools[database("main", ["copy"])];
    return pool;
  };
  assert.deepEqual([using("db.rides=copy", chosen), chosen()], ["copy's", "main's"]);
});

test("messages carry overrides by hand", () => {
  const seen: unknown[] = [];
  const handle = (ride: string): void => void seen.push([ride, route()]);
  const port = Object.assign(new EventEmitter(), {
    sent: [] as unknown[],
    postMessage(message: unknown): void {
      this.sent.push(message);
    },
  });
  const send = (ride: string): void => {
    port.postMessage({ headers: carried(), ride });
  };
  using("users=pr-42", () => send("one"));
  send("another");
  port.on("message", ({ headers, ride }) => underCarried(headers, () => handle(ride)));
  for (const message of port.sent) port.emit("message", message);
  assert.deepEqual(seen, [
    ["one", "pr-42"],
    ["another", undefined],
  ]);
});
