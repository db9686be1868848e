/** The responses of services; `detour.demo.call_tree` documents the format. */

/** An instance's report about itself, and the calls that it made. */
export interface Answer {
  readonly service: string;
  readonly instance: string;
  readonly deployment: string;
  readonly calls: readonly Call[];
}

/** The result of one call, as its caller saw it. */
export interface Call {
  readonly to: string;
  readonly status: string;
  readonly served_by: string;
  readonly duration_ms: number;
  readonly error: string;
  readonly answer: Answer | null;
}
