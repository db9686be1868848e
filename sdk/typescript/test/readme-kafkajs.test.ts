/** The example of README.md for kafkajs, line by line (tests/docs compares them), with a consumer of one batch. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { current, install } from "detour-mesh";
import { withMessage } from "detour-mesh/kafkajs";

install();

interface Ride {
  readonly value: string;
  readonly headers: Record<string, string>;
}

interface Batch {
  readonly batch: { readonly messages: readonly Ride[] };
}

test("each message of a batch is handled under its own overrides", async () => {
  const messages = ["pr-42", "pr-43"].map((value) => ({ value, headers: { baggage: `override.route.users=${value}` } }));
  const consumer = {
    run: ({ eachBatch }: { eachBatch: (payload: Batch) => Promise<void> }): Promise<void> =>
      eachBatch({ batch: { messages } }),
  };
  const seen: unknown[] = [];
  const handle = async ({ value }: Ride): Promise<void> => void seen.push([value, current().route("users")]);
  await consumer.run({ eachBatch: async ({ batch }) => { for (const one of batch.messages) await withMessage(one, handle); } });
  assert.deepEqual(seen, [
    ["pr-42", "pr-42"],
    ["pr-43", "pr-43"],
  ]);
});
