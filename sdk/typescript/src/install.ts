/** Sets up the SDK, once, at the start of a service. */

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

/** Options of `install`. */
export interface InstallOptions {
  /**
   * The service's name in the mesh; by default `OTEL_SERVICE_NAME`, or `service.name` in `OTEL_RESOURCE_ATTRIBUTES`.
   */
  readonly service?: string;
}

/**
 * Makes overrides travel through this service wherever OpenTelemetry's propagation does.
 *
 * Node's own servers and clients, libraries that use them, and some others need no instrumentation; unsupported
 * libraries are named in a warning when they are loaded. It may run before or after the set-up of OpenTelemetry's own
 * SDK. Further calls have no effect.
 */
export function install({ service }: InstallOptions = {}): void {
  if (service) setServiceName(service);
  ensureContextManager();
  follow();
  const api = registered();
  if (api.propagation instanceof OverridesPropagator) return;
  const ours = new OverridesPropagator(api.propagation ?? w3c());
  // OpenTelemetry refuses to replace a propagator, and any from a copy of its API with another version.
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

/** Places propagators that are set later behind ours, because OpenTelemetry would refuse a second one. */
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
