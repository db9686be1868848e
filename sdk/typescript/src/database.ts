/** The database that one request chooses: `override.db.<service>=<name>`, among those that the service lists. */

import { keyOf } from "./overrides";
import { type ServiceOptions, ownOverride } from "./service";
import { tell } from "./telling";

/**
 * Returns the name of the database that the current request chose.
 *
 *     const pool = pools[database("main", ["copy"])];
 *
 * @param ordinary - The one for requests that choose none, and for those that name one that is not listed: that is
 * refused, and told once.
 * @param others - The service's own configuration lists them; a header can't add any.
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
    tell([{ what: `${keyOf("db", chosen.subject)}=${chosen.value}`, why }]);
  }
  return found ?? ordinary;
}
