/** Where services call on to. */

export const SINK = process.env.SINK_HTTP ?? "";

/** Calls the sink by Node's own client. */
export async function byFetch(id: string): Promise<void> {
  const answer = await fetch(`${SINK}/${id}`);
  await answer.text();
  if (!answer.ok) throw new Error(`the sink answers ${answer.status}`);
}
