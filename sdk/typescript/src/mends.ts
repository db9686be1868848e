/** Mending libraries when they are loaded. */

import {
  InstrumentationBase,
  InstrumentationNodeModuleDefinition,
  InstrumentationNodeModuleFile,
} from "@opentelemetry/instrumentation";
import * as amqplib from "./amqplib";
import * as sqs from "./sqs";

const ANY = ["*"];

/** Switches the mends of libraries on. */
export function mend(): void {
  new Mends("detour-mesh", "0.1.0", {});
}

class Mends extends InstrumentationBase {
  protected override init(): InstrumentationNodeModuleDefinition[] {
    const files = ["amqplib/lib/channel_model.js", "amqplib/lib/callback_model.js"];
    return [
      new InstrumentationNodeModuleDefinition(
        "amqplib",
        ANY,
        undefined,
        undefined,
        files.map((file) => mended(file, amqplib.followInAll)),
      ),
      new InstrumentationNodeModuleDefinition("@aws-sdk/client-sqs", ANY, (module) => {
        sqs.followInAll(module);
        return module;
      }),
    ];
  }
}

function mended(file: string, follow: (module: never) => void): InstrumentationNodeModuleFile {
  return new InstrumentationNodeModuleFile(
    file,
    ANY,
    (module) => {
      follow(module as never);
      return module;
    },
    () => undefined,
  );
}
