/**
 * winston: a request that carries `override.log.<service>=debug` is logged at that level.
  *
  * winston's transports filter by level, which they read from a line's internal level (`Symbol.for("level")`, from
  * triple-beam). A line that a request's override permits gets an internal level that passes; the printed one is
  * `level`.
 */

import type { Logger } from "winston";
import { anyInFlight } from "./flights";
import { askedLevel } from "./levels";
import type { ServiceOptions } from "./service";

const LEVEL = Symbol.for("level");

interface Line {
  [LEVEL]?: string;
}

/**
 * Makes a logger and its children follow the log levels that requests carry; returns the logger.
 *
 * A line that only passes because of an override reaches the transports that get the logger's least severe ordinary
 * lines. A transport for alarms only does not receive more.
 */
export function followOverrides<L extends Logger>(logger: L, { service }: ServiceOptions = {}): L {
  const { isLevelEnabled } = logger;
  const write = logger.write as (...args: unknown[]) => boolean;
  const rank = (level: string | undefined): number => logger.levels[level ?? ""] ?? -1;
  const passes = (level: string | undefined): boolean => rank(level) <= rank(askedLevel(service, logger.levels));

  logger.isLevelEnabled = function (this: Logger, level: string) {
    return isLevelEnabled.call(this, level) || (anyInFlight() && rank(level) >= 0 && passes(level));
  };
  logger.write = function (this: Logger, line: Line, ...rest: unknown[]) {
    if (anyInFlight() && passes(line[LEVEL])) {
      const threshold = ordinary(logger);
      if (rank(line[LEVEL]) > rank(threshold)) line[LEVEL] = threshold;
    }
    return write.call(this, line, ...rest);
  } as L["write"];
  return logger;
}

/** Returns the least severe level that any transport passes. */
function ordinary(logger: Logger): string {
  const levels = logger.transports.map((transport) => transport.level ?? logger.level);
  return levels.reduce(
    (one, other) => ((logger.levels[other] ?? 0) > (logger.levels[one] ?? 0) ? other : one),
    levels[0] ?? logger.level,
  );
}
