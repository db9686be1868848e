/** Databases per request: `override.db.<service>=<name>` chooses one that the service lists. */

import { keyOf } from "./overrides";
import { type ServiceOptions, ownOverride } from "./service";
import { report } from "./reporting";

/**
 * Returns the name of the database that the current request chose.
 *
 *     const pool = pools[database("main", ["copy"])];
 *
  * @param ordinary - The database for requests that choose none. Requests that choose an unlisted one get it, too,
  * with one warning.
  * @param others - The service's own configuration lists them; a header cannot add any.
 */
export function database<Name extends string>(
  ordinary: Name,
  others: readonly Name[],
  { service }: ServiceOptions = {},
): Name {
  const chosen = ownOverride("db", service);
  if (!chosen || chosen.value === ordinary) return ordinary;
  const found = others.find((name) => name === chosen.value);
  if (found === undefined) {
    const why = `expected one of ${[ordinary, ...others].join(", ")}`;
    report([{ what: `${keyOf("db", chosen.subject)}=${chosen.value}`, why }]);
  }
  return found ?? ordinary;
}
