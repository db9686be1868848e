/** What the mesh calls the service that this process is, and which overrides are for it. */

import type { Override } from "./overrides";
import { current } from "./request";
import { tellOnce } from "./telling";

/** Which service asks for its overrides. */
export interface ServiceOptions {
  /** What the mesh calls this service; by default what `install` was told, or `OTEL_SERVICE_NAME`. */
  readonly service?: string;
}

const OWN = { log: "log levels", db: "databases" };

let given = "";

/** Returns the current request's override of a kind for this service, if it has one. */
export function ownOverride(kind: keyof typeof OWN, service: string | undefined): Override | undefined {
  const overrides = current();
  const subject = service || serviceName();
  if (!subject && overrides.of(kind).size > 0) {
    tellOnce(
      `a request's ${OWN[kind]} are ignored: nobody says what the mesh calls this service; set OTEL_SERVICE_NAME`,
    );
  }
  const value = overrides.value(kind, subject);
  return value === undefined ? undefined : { kind, subject, value };
}

/** Says what it is called, whatever the environment says. */
export function setServiceName(name: string): void {
  given = name;
}

/** Returns its name, as OpenTelemetry's SDKs find it (specification, "Resource SDK"); "" if nobody says it. */
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
