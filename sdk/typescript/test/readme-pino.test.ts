/** The example of README.md for pino, line by line: tests/docs compares them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import pinoOfLibrary from "pino";
import pino from "pino";
import { install, using } from "detour-mesh";
import { followOverrides } from "detour-mesh/pino";

install({ service: "rides" });

test("one request is logged at debug", () => {
  const lines: string[] = [];
  const made = (options: pino.LoggerOptions): pino.Logger =>
    pinoOfLibrary(options, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  {
    const pino = made;
    const logger = followOverrides(pino({ level: "warn" }));
    using("log.rides=debug", () => logger.debug("this one"));
    logger.debug("no other");
  }
  assert.deepEqual(lines, ["this one"]);
});
