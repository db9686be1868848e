/**
 * Sets up the SDK without code changes: `node --require detour-mesh/register app.js`, or `--import`.
 *
 * Threads and child processes load this as well, before their own code.
 */

import { install } from "./install";
import { followInProcesses } from "./processes";
import { followOverrides } from "./worker-threads";

install();
followOverrides();
followInProcesses();
