/**
 * pino: a request that carries `override.log.<service>=debug` is logged at that level.
  *
  * pino gives a logger empty methods for the levels below its own. These are replaced by methods that check whether
  * any request with a level is in flight; all others stay pino's own.
 */

import type { Logger } from "pino";
import { anyInFlight } from "./flights";
import { askedLevel } from "./levels";
import type { ServiceOptions } from "./service";

type Methods = Record<string, (...args: unknown[]) => void>;

/** Loggers, each with copies at lower levels, by level. */
const lowered = new WeakMap<Logger, Map<string, Logger>>();

/**
 * Makes a logger, and all its future children, follow the log levels that requests carry; returns the logger.
 *
 * The levels of single transports (`pino.transport({ targets })`, `pino.multistream`) apply as usual.
 */
export function followOverrides<L extends Logger>(logger: L, { service }: ServiceOptions = {}): L {
  const { isLevelEnabled } = logger;
  const asked = (one: Logger): Logger | undefined => {
    const level = anyInFlight() && askedLevel(service, one.levels.values);
    return level ? atLevel(one, level) : undefined;
  };
  logger.isLevelEnabled = function (this: Logger, level: string) {
    if (isLevelEnabled.call(this, level)) return true;
    const one = asked(this);
    return one !== undefined && isLevelEnabled.call(one, level);
  };
  const follow = (one: Logger): void => {
    const silent = Object.keys(one.levels.values).filter((level) => !isLevelEnabled.call(one, level));
    for (const level of silent) {
      (one as unknown as Methods)[level] = function (this: Logger, ...args: unknown[]) {
        if (anyInFlight()) (asked(this) as unknown as Methods | undefined)?.[level]?.(...args);
      };
    }
  };
  follow(logger);
  logger.on("level-change", (_level, _value, _before, _valueBefore, one: Logger) => follow(one));
  return logger;
}

function atLevel(logger: Logger, level: string): Logger {
  const known = lowered.get(logger) ?? new Map<string, Logger>();
  lowered.set(logger, known);
  const found = known.get(level) ?? quietly(logger, level);
  known.set(level, found);
  return found;
}

/** Creates a logger that differs only in its level, without any events or hooks. */
function quietly(logger: Logger, level: string): Logger {
  const made = Object.create(logger, { emit: { value: () => true } }) as Logger;
  made.level = level;
  return made;
}
