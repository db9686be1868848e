/**
 * What is paid: `npm run bench`. Ratios are the median over pairs of runs that take turns.
 *
 * A call is what a service writes: a line with an object made for it.
 */

import { ROOT_CONTEXT, context, propagation } from "@opentelemetry/api";
import pino from "pino";
import { Writable } from "node:stream";
import winston from "winston";
import { current, install } from "../src/index";
import * as forPino from "../src/pino";
import * as forWinston from "../src/winston";

install({ service: "rides" });

const PAIRS = 31;

function seconds(rounds: number, fn: (round: number) => unknown): number {
  const start = process.hrtime.bigint();
  for (let round = 0; round < rounds; round++) fn(round);
  return Number(process.hrtime.bigint() - start) / 1e9;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function compare(
  name: string,
  rounds: number,
  without: (round: number) => unknown,
  withSdk: (round: number) => unknown,
): void {
  const times: [number, number][] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    if (pair % 2) times.push([seconds(rounds, without), seconds(rounds, withSdk)]);
    else times.push([seconds(rounds, withSdk), seconds(rounds, without)].reverse() as [number, number]);
  }
  const each = ([a]: [number, number]) => (a / rounds) * 1e9;
  const ratio = median(times.map(([a, b]) => b / a));
  console.log(`${name}: ${median(times.map(each)).toFixed(1)} ns a call without, ratio ${ratio.toFixed(3)}`);
}

function byPino(): pino.Logger {
  return pino({ level: "warn" }, { write: () => undefined });
}

function byWinston(): winston.Logger {
  const stream = new Writable({ write: (_line, _encoding, done) => done() });
  return winston.createLogger({ level: "warn", transports: [new winston.transports.Stream({ stream })] });
}

/** Each logger's calls are compiled for itself, as in a service that has one. */
function caller(
  logger: { debug(text: string, more: object): unknown },
  kind: "pino" | "winston",
): (round: number) => unknown {
  const body =
    kind === "pino"
      ? "logger.debug({ round, user: 'u' + round }, 'served')"
      : "logger.debug('served', { round, user: 'u' + round })";
  return new Function("logger", `return (round) => ${body}`)(logger);
}

compare(
  "pino, a call below the level",
  2_000_000,
  caller(byPino() as never, "pino"),
  caller(forPino.followOverrides(byPino()) as never, "pino"),
);
compare(
  "winston, a call below the level",
  50_000,
  caller(byWinston(), "winston"),
  caller(forWinston.followOverrides(byWinston()), "winston"),
);

const quiet = [byPino(), forPino.followOverrides(byPino())] as const;
compare(
  "pino, a constant text alone",
  20_000_000,
  new Function("logger", "return () => logger.debug('served')")(quiet[0]),
  new Function("logger", "return () => logger.debug('served')")(quiet[1]),
);

const without = ROOT_CONTEXT;
const five = Array.from({ length: 5 }, (_, index) => `override.route.service-${index}=pr-${index}`).join(",");
context.with(without, () =>
  console.log(`current() without overrides: ${(seconds(1_000_000, () => current()) * 1e3).toFixed(1)} ns`),
);
const rounds = 20_000;
const contexts = Array.from({ length: rounds }, () => {
  const baggage = propagation.getBaggage(propagation.extract(ROOT_CONTEXT, { baggage: five }));
  return propagation.setBaggage(
    ROOT_CONTEXT,
    propagation.createBaggage(Object.fromEntries(baggage?.getAllEntries() ?? [])),
  );
});
const firstReads = seconds(rounds, (round) => current(contexts[round]));
console.log(`current() with five, first read: ${((firstReads / rounds) * 1e6).toFixed(2)} us`);
