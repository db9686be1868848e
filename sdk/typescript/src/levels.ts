/**
 * Log levels per request: `override.log.<service>=debug` makes the service log that request at that level.
 *
 * An override only lowers the threshold: otherwise a header could silence a service and hide its sender.
 */

import { keyOf } from "./overrides";
import { ownOverride } from "./service";
import { report } from "./reporting";

/** Returns the level that the current request sets for a service, if the logger has it. */
export function askedLevel(
  service: string | undefined,
  levels: Readonly<Record<string, number>>,
): string | undefined {
  const asked = ownOverride("log", service);
  if (!asked) return undefined;
  const level = asked.value.toLowerCase();
  if (Object.hasOwn(levels, level)) return level;
  const why = `expected one of ${Object.keys(levels).join(", ")}`;
  report([{ what: `${keyOf("log", asked.subject)}=${asked.value}`, why }]);
  return undefined;
}
