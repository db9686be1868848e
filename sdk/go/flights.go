package detour

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
)

// flights counts the requests in flight that have a log level of their own, so that a log call need not look into its
// context while there are none. A request ends when its context is unreachable, which includes the goroutines that it
// started. A delay until that is noticed only costs time.
var flights atomic.Int64

type flightKey struct{}

// A flight is freed with the contexts that refer to it. It has this size because tiny objects are freed together.
type flight struct {
	_ [2]uint64
}

// inFlight returns a context that counts as a request with a log level, if these overrides set one.
func inFlight(ctx context.Context, overrides []Override) context.Context {
	isLog := func(one Override) bool { return one.Kind == KindLog }
	if !slices.ContainsFunc(overrides, isLog) || ctx.Value(flightKey{}) != nil {
		return ctx
	}
	begun := new(flight)
	flights.Add(1)
	runtime.AddCleanup(begun, func(by int64) { flights.Add(by) }, -1)
	return context.WithValue(ctx, flightKey{}, begun)
}
