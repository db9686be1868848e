/**
 * Log levels for one request: `override.log.<service>=debug` has the service log that request at that level.
 *
 * It only ever lowers the threshold: a header that could silence a service would hide its sender.
 */

import { keyOf } from "./overrides";
import { ownOverride } from "./service";
import { tell } from "./telling";

/** Returns the level that the current request asks of a service, one of those that the logger has. */
export function askedLevel(
  service: string | undefined,
  levels: Readonly<Record<string, number>>,
): string | undefined {
  const asked = ownOverride("log", service);
  if (!asked) return undefined;
  const level = asked.value.toLowerCase();
  if (Object.hasOwn(levels, level)) return level;
  const why = `expected one of ${Object.keys(levels).join(", ")}`;
  tell([{ what: `${keyOf("log", asked.subject)}=${asked.value}`, why }]);
  return undefined;
}
