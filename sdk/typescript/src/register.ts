/**
 * Sets all up without a change of code: `node --require detour-mesh/register app.js`, or `--import`.
 *
 * Libraries are mended when the service loads them, by the same hooks that OpenTelemetry's instrumentations use.
 */

import { install } from "./install";
import { tellOnce } from "./telling";
import { followOverrides } from "./worker-threads";

install();
followOverrides();
try {
  (require("./mends") as typeof import("./mends")).mend();
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
  tellOnce("overrides may be lost in amqplib and SQS: npm install @opentelemetry/instrumentation");
}
