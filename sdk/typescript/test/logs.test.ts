import assert from "node:assert/strict";
import { test } from "node:test";
import { Writable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import pino from "pino";
import winston from "winston";
import { anyInFlight } from "../src/flights";
import { install, using } from "../src/index";
import * as forPino from "../src/pino";
import * as forWinston from "../src/winston";
import { warningsOf } from "./setup";

install({ service: "rides" });

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const DEBUG = "log.rides=debug";

interface Logger {
  debug(text: string): unknown;
  info(text: string): unknown;
  warn(text: string): unknown;
}

interface Made<L extends Logger> {
  readonly logger: L;
  readonly lines: () => string[];
}

function madeByPino(options: pino.LoggerOptions = {}, service?: string): Made<pino.Logger> {
  const lines: string[] = [];
  const logger = pino(
    { level: "warn", ...options },
    { write: (line: string) => void lines.push(JSON.parse(line).msg) },
  );
  return { logger: forPino.followOverrides(logger, service ? { service } : {}), lines: () => lines };
}

function madeByWinston(options: winston.LoggerOptions = {}, service?: string): Made<winston.Logger> {
  const { stream, lines } = collected();
  const transports = [new winston.transports.Stream({ stream })];
  const logger = winston.createLogger({ level: "warn", transports, format: winston.format.json(), ...options });
  return { logger: forWinston.followOverrides(logger, service ? { service } : {}), lines };
}

function collected(): { stream: Writable; lines: () => string[] } {
  const lines: string[] = [];
  const stream = new Writable({
    write(line, _encoding, done) {
      const { level, message } = JSON.parse(String(line));
      lines.push(level === "debug" || level === "warn" ? message : level);
      done();
    },
  });
  return { stream, lines: () => lines };
}

const makers: [string, (options?: object, service?: string) => Made<Logger>][] = [
  ["pino", madeByPino],
  ["winston", madeByWinston],
];

for (const [name, made] of makers) {
  test(`${name}: a request with a level is logged at it, and no other`, async () => {
    const { logger, lines } = made();
    const serve = async (request: string) => {
      logger.debug(`${request} begins`);
      await new Promise(setImmediate);
      logger.debug(`${request} ends`);
    };
    await Promise.all([serve("a"), using(DEBUG, () => serve("b")), using("log.users=debug", () => serve("c"))]);
    assert.deepEqual(lines(), ["b begins", "b ends"]);
  });

  test(`${name}: levels between are logged too, those below are not`, () => {
    const { logger, lines } = made();
    using("log.rides=info", () => {
      logger.debug("debug");
      logger.warn("warn");
    });
    assert.deepEqual(lines(), ["warn"]);
  });

  test(`${name}: a level never silences`, () => {
    const { logger, lines } = made();
    using("log.rides=error", () => logger.warn("warn"));
    assert.deepEqual(lines(), ["warn"]);
  });

  test(`${name}: an unknown level is ignored with one warning`, async () => {
    const { logger, lines } = made();
    const heard = await warningsOf(() =>
      using(`log.rides=loud-${name}`, () => [logger.debug("a"), logger.debug("b")]),
    );
    assert.equal(heard.length, 1);
    assert.match(heard.join(), /"override\.log\.rides=loud-\w+" is ignored: expected one of/);
    assert.deepEqual(lines(), []);
  });

  test(`${name}: the service may be named to the logger`, () => {
    const { logger, lines } = made({}, "users");
    using("log.users=debug", () => logger.debug("debug"));
    assert.deepEqual(lines(), ["debug"]);
  });
}

test("pino: children follow, those with a level of their own and later ones too", () => {
  const { logger, lines } = madeByPino();
  const before = logger.child({ a: 1 });
  const louder = logger.child({}, { level: "error" });
  using(DEBUG, () => {
    before.debug("before");
    louder.debug("louder");
    logger.child({}).debug("within");
  });
  louder.warn("kept back");
  assert.deepEqual(lines(), ["before", "louder", "within"]);
});

test("pino: bindings that are set later, and levels, count", () => {
  const lines: string[] = [];
  const logger = forPino.followOverrides(
    pino({ level: "warn", base: null, timestamp: false }, { write: (line: string) => void lines.push(line) }),
  );
  using(DEBUG, () => logger.debug("first"));
  logger.setBindings({ later: true });
  using(DEBUG, () => logger.debug("second"));
  logger.level = "silent";
  using(DEBUG, () => logger.debug("third"));
  logger.level = "debug";
  logger.debug("fourth");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      { level: 20, msg: "first" },
      { level: 20, later: true, msg: "second" },
      { level: 20, later: true, msg: "third" },
      { level: 20, later: true, msg: "fourth" },
    ],
  );
});

test("whether a level is logged can be asked", () => {
  const { logger: one } = madeByPino();
  const { logger: other } = madeByWinston();
  const asked = () => [
    one.isLevelEnabled("debug"),
    one.isLevelEnabled("trace"),
    other.isLevelEnabled("debug"),
    other.isDebugEnabled(),
    other.isLevelEnabled("silly"),
  ];
  assert.deepEqual(using(DEBUG, asked), [true, false, true, true, false]);
  assert.deepEqual(asked(), [false, false, false, false, false]);
});

test("winston: a transport for alarms stays one", () => {
  const [ordinary, alarms] = [collected(), collected()];
  const { logger } = madeByWinston({
    transports: [
      new winston.transports.Stream({ stream: ordinary.stream, level: "info" }),
      new winston.transports.Stream({ stream: alarms.stream, level: "error" }),
    ],
  });
  using(DEBUG, () => logger.debug("debug"));
  assert.deepEqual([ordinary.lines(), alarms.lines()], [["debug"], []]);
});

test("winston: children follow, and print the line's own level", () => {
  const { logger, lines } = madeByWinston();
  using(DEBUG, () => logger.child({ a: 1 }).debug("child"));
  assert.deepEqual(lines(), ["child"]);
});

test("once a request with a level is over, log calls no longer check for one", async () => {
  using(DEBUG, () => assert.ok(anyInFlight()));
  const deadline = Date.now() + 20_000;
  while (anyInFlight()) {
    assert.ok(Date.now() < deadline, "a request that is over is still in flight");
    collect();
    await new Promise(setImmediate);
  }
});
