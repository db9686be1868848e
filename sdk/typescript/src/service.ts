/** The name of this process's service in the mesh, and the overrides for it. */

import type { Override } from "./overrides";
import { current } from "./request";
import { warnOnce } from "./reporting";

/** The service that reads its overrides. */
export interface ServiceOptions {
  /** The service's name in the mesh; by default the one passed to `install`, or `OTEL_SERVICE_NAME`. */
  readonly service?: string;
}

const OWN = { log: "log levels", db: "databases" };

let given = "";

/** Returns the current request's override of a kind for this service, if it has one. */
export function ownOverride(kind: keyof typeof OWN, service: string | undefined): Override | undefined {
  const overrides = current();
  const subject = service || serviceName();
  if (!subject && overrides.of(kind).size > 0) {
    warnOnce(
      `a request's ${OWN[kind]} are ignored, because this service does not know its name in the mesh; ` +
        "set OTEL_SERVICE_NAME",
    );
  }
  const value = overrides.value(kind, subject);
  return value === undefined ? undefined : { kind, subject, value };
}

/** Sets the name; it takes precedence over the environment. */
export function setServiceName(name: string): void {
  given = name;
}

/** Returns the name, as OpenTelemetry's SDKs determine it (specification, "Resource SDK"); "" if it is not set. */
function serviceName(): string {
  return given || process.env.OTEL_SERVICE_NAME || attribute("service.name");
}

function attribute(key: string): string {
  const pairs = (process.env.OTEL_RESOURCE_ATTRIBUTES ?? "").split(",").map((pair) => pair.split("="));
  const value = pairs.find(([found = ""]) => found.trim() === key)?.[1]?.trim() ?? "";
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
