/**
 * The SDK for services: it propagates a request's overrides to all calls, and applies those for the service itself.
 *
 *     import { flag, install } from "detour-mesh";
 *
 *     install();
 *     if (flag("new-checkout", false)) ...
 *
 * Nothing that a request carries throws an error in the service.
 */

export { database } from "./database";
export { flag } from "./flags";
export { type InstallOptions, install } from "./install";
export { type Kind, type Override, Overrides } from "./overrides";
export { type Headers, carried, current, detached, underCarried, using } from "./request";
export type { ServiceOptions } from "./service";
export { parseWords } from "./words";
