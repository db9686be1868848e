/**
 * What a service imports: its overrides travel on with every call, and it can act on those that are for itself.
 *
 *     import { flag, install } from "detour-mesh";
 *
 *     install();
 *     if (flag("new-checkout", false)) ...
 *
 * Nothing that a request carries throws into the service that serves it.
 */

export { database } from "./database";
export { flag } from "./flags";
export { type InstallOptions, install } from "./install";
export { type Kind, type Override, Overrides } from "./overrides";
export { type Headers, carried, current, detached, underCarried, using } from "./request";
export type { ServiceOptions } from "./service";
export { parseWords } from "./words";
