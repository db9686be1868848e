/** Setting up, once, at the start of a service. */

import { type TextMapPropagator, propagation } from "@opentelemetry/api";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import { ensureContextManager } from "./contexts";
import { followInWaiting } from "./emitters";
import { followInServers } from "./entries";
import { followInClients } from "./exits";
import { mend } from "./mends";
import { OverridesPropagator } from "./propagator";
import { registered } from "./registered";
import { setServiceName } from "./service";
import { followInConnections } from "./sharing";

/** How a service is set up. */
export interface InstallOptions {
  /**
   * What the mesh calls this service; else `OTEL_SERVICE_NAME`, or `service.name` in `OTEL_RESOURCE_ATTRIBUTES`.
   */
  readonly service?: string;
}

/**
 * Has overrides travel through this service wherever OpenTelemetry's propagation does.
 *
 * Node's own servers and clients, what stands on them, and some libraries need no instrumentation for that; others are
 * named when they are loaded. It may run before or behind the set-up of OpenTelemetry's own SDK. Calling it again does
 * no more.
 */
export function install({ service }: InstallOptions = {}): void {
  if (service) setServiceName(service);
  ensureContextManager();
  follow();
  const api = registered();
  if (api.propagation instanceof OverridesPropagator) return;
  const ours = new OverridesPropagator(api.propagation ?? w3c());
  // OpenTelemetry refuses to replace one, and any from a copy of its API that has another version.
  if (api.propagation) api.propagation = ours;
  else propagation.setGlobalPropagator(ours);
  takeBehind(ours);
}

let followed = false;

function follow(): void {
  if (followed) return;
  followed = true;
  followInServers();
  followInClients();
  followInConnections();
  followInWaiting();
  mend();
}

/** Has propagators that are set later stand behind ours: OpenTelemetry refuses a second one. */
function takeBehind(ours: OverridesPropagator): void {
  const set = propagation.setGlobalPropagator.bind(propagation);
  propagation.setGlobalPropagator = (later: TextMapPropagator) => {
    if (registered().propagation !== ours) return set(later);
    ours.others = later;
    return true;
  };
}

function w3c(): TextMapPropagator {
  return new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] });
}
