package detour

import "context"

// Detached returns a context without overrides, for work that should outlive the request: cache refreshes, pools,
// schedulers. Everything else stays, including the trace, other baggage and the end of ctx:
//
//	go refresh(detour.Detached(context.WithoutCancel(ctx)))
//
// Work that keeps its request's overrides loses them some time after the response (DETOUR_AFTER_RESPONSE, 60 s by
// default), with one warning that names it.
func Detached(ctx context.Context) context.Context {
	own := held(ctx).read()
	if own.isEmpty() {
		return ctx
	}
	return without(ctx, own)
}
