/**
 * Log levels for one request: `override.log.<service>=debug` has the service log that request at that level.
 *
 * It only ever lowers the threshold: a header that could silence a service would hide its sender.
 */

import { current } from "./request";
import { serviceName } from "./service";
import { tell, tellOnce } from "./telling";

/** How a logger follows overrides. */
export interface LevelOptions {
  /** What the mesh calls this service; by default what `install` was told, or `OTEL_SERVICE_NAME`. */
  readonly service?: string;
}

/** Returns the level that the current request asks of a service, one of those that the logger has. */
export function askedLevel(
  service: string | undefined,
  levels: Readonly<Record<string, number>>,
): string | undefined {
  const overrides = current();
  const name = service || serviceName();
  if (!name && overrides.of("log").size > 0) {
    tellOnce(
      "a request's log levels are ignored: nobody says what the mesh calls this service; set OTEL_SERVICE_NAME",
    );
  }
  const text = overrides.value("log", name);
  if (text === undefined) return undefined;
  const level = text.toLowerCase();
  if (Object.hasOwn(levels, level)) return level;
  tell([{ what: `override.log.${name}=${text}`, why: `expected one of ${Object.keys(levels).join(", ")}` }]);
  return undefined;
}
