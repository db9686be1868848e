/**
 * A service that overrides enter, and that calls on: `SERVER` is `express`, `fastify`, `grpc-js`, or `node:http`.
 *
 * `TRACED` is empty where nothing is traced; `PORT`, `GRPC_PORT`, `SINK_HTTP`, `SINK_GRPC`, `AMQP_URL`, `QUEUE` and
 * `DETOUR_SDK` are as the suite's driver says.
 */

import "./setup"; // Before any library that is instrumented.
import { run } from "./clients";
import { connect } from "./queue";
import { servers } from "./servers";

const name = process.env.SERVER ?? "";
const serve = servers[name];

process.on("SIGTERM", () => process.exit(0));
process.stdin.on("end", () => process.exit(0)).resume();

if (!serve) throw new Error(`SERVER=${name} is none of ${Object.keys(servers).join(", ")}`);
void connect(run).then(serve);
