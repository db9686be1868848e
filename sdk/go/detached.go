package detour

import "context"

// Detached returns a context without overrides, for work that is meant to outlive the request: refreshing caches,
// pools, schedulers. All else stays, the trace and other people's baggage too, and so does the end of ctx:
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
