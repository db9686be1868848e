/**
 * An OpenFeature provider: flags have the current request's values, otherwise those of the team's own provider.
 *
 *     await OpenFeature.setProviderAndWait(new OverrideProvider(new FlagdProvider()));
 *
 * A text that is not a value of the requested type results in the default, with OpenFeature's error code.
 */

import {
  ErrorCode,
  type EvaluationContext,
  type Hook,
  type JsonValue,
  type Logger,
  type Provider,
  type ResolutionDetails,
  StandardResolutionReasons,
  type TrackingEventDetails,
} from "@openfeature/server-sdk";
import { FlagError, overridden, readBoolean, readNumber, readObject, readString } from "./flags";

const VARIANT = "override";

/** Resolves `override.config.<flag>` of the current request, and delegates everything else to another provider. */
export class OverrideProvider implements Provider {
  readonly runsOn = "server";
  readonly metadata: { readonly name: string };
  /** The other provider's hooks; they also run for flags that the request sets. */
  readonly hooks: Hook[];
  /** The other provider's events. */
  declare readonly events?: NonNullable<Provider["events"]>;

  readonly #next: Provider;

  /** @param next - The team's own provider; without it, flags that the request does not set have their defaults. */
  constructor(next?: Provider) {
    this.#next = next ?? DEFAULTS;
    this.metadata = { name: `Detour overrides${next ? `, then ${next.metadata.name}` : ""}` };
    this.hooks = this.#next.hooks ?? [];
    if (this.#next.events) this.events = this.#next.events;
  }

  /** Initializes the other provider. */
  async initialize(context?: EvaluationContext): Promise<void> {
    await this.#next.initialize?.(context);
  }

  /** Shuts the other provider down. */
  async onClose(): Promise<void> {
    await this.#next.onClose?.();
  }

  /** Delegates tracking to the other provider. */
  track(event: string, context: EvaluationContext, details: TrackingEventDetails): void {
    this.#next.track?.(event, context, details);
  }

  async resolveBooleanEvaluation(
    flag: string,
    otherwise: boolean,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<boolean>> {
    return (
      answer(flag, readBoolean, otherwise) ?? this.#next.resolveBooleanEvaluation(flag, otherwise, context, logger)
    );
  }

  async resolveStringEvaluation(
    flag: string,
    otherwise: string,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<string>> {
    return (
      answer(flag, readString, otherwise) ?? this.#next.resolveStringEvaluation(flag, otherwise, context, logger)
    );
  }

  async resolveNumberEvaluation(
    flag: string,
    otherwise: number,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<number>> {
    return (
      answer(flag, readNumber, otherwise) ?? this.#next.resolveNumberEvaluation(flag, otherwise, context, logger)
    );
  }

  async resolveObjectEvaluation<T extends JsonValue>(
    flag: string,
    otherwise: T,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<T>> {
    return (
      answer(flag, (text) => readObject(text) as T, otherwise) ??
      this.#next.resolveObjectEvaluation(flag, otherwise, context, logger)
    );
  }
}

/** Returns the value of a flag in the current request, or undefined if the request does not set it. */
function answer<T>(flag: string, read: (text: string) => T, otherwise: T): ResolutionDetails<T> | undefined {
  try {
    const value = overridden(flag, read);
    return value === undefined
      ? undefined
      : { value, variant: VARIANT, reason: StandardResolutionReasons.TARGETING_MATCH };
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    const { fault, message } = error;
    return {
      value: otherwise,
      reason: StandardResolutionReasons.ERROR,
      errorCode: ErrorCode[fault],
      errorMessage: message,
    };
  }
}

async function byDefault<T>(_flag: string, otherwise: T): Promise<ResolutionDetails<T>> {
  return { value: otherwise, reason: StandardResolutionReasons.DEFAULT };
}

const DEFAULTS: Provider = {
  metadata: { name: "defaults" },
  resolveBooleanEvaluation: byDefault,
  resolveStringEvaluation: byDefault,
  resolveNumberEvaluation: byDefault,
  resolveObjectEvaluation: byDefault,
};
