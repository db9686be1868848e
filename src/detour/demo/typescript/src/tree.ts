/** What services answer; the form is told in `detour.demo.call_tree`. */

/** An instance's word about itself, and the calls that it made to answer. */
export interface Answer {
  readonly service: string;
  readonly instance: string;
  readonly deployment: string;
  readonly calls: readonly Call[];
}

/** What came of one call, as its caller saw it. */
export interface Call {
  readonly to: string;
  readonly status: string;
  readonly served_by: string;
  readonly duration_ms: number;
  readonly error: string;
  readonly answer: Answer | null;
}
