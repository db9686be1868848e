/** What the mesh calls the service that this process is. */

let given = "";

/** Says what it is called, whatever the environment says. */
export function setServiceName(name: string): void {
  given = name;
}

/** Returns its name, as OpenTelemetry's SDKs find it (specification, "Resource SDK"); "" if nobody says it. */
export function serviceName(): string {
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
