package detour

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"weak"
)

const (
	afterResponseVariable = "DETOUR_AFTER_RESPONSE"
	afterResponseDefault  = 60 * time.Second
	notComplete           = -1
)

var (
	started  = time.Now() // has a monotonic clock
	duration = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|)$`)
	units    = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "": time.Second}
)

type scopeKey struct{}

// A scope is how long a request's overrides apply: until a limited time after the request's context is done, which is
// when its handler returns or its client disconnects. It has no timer: readers of overrides check whether it has
// ended.
type scope struct {
	header    string       // identifies the request for a second reader of its headers
	completed atomic.Int64 // when the context was done, in nanoseconds since started; notComplete before
	atLeast   time.Duration
}

// scoped returns a context whose overrides, read from a header, apply as long as ctx does and a while longer. If ctx
// is never done, its end is unknown, so the time counts from now.
func scoped(ctx, read context.Context, header string) context.Context {
	if before := scopeOf(read); before != nil && before.header == header && !before.isComplete() {
		return read
	}
	begun := &scope{header: header}
	begun.completed.Store(notComplete)
	if ctx.Done() == nil {
		begun.atLeast = afterResponseDefault
		begun.complete()
	} else {
		begun.completeWith(ctx)
	}
	return context.WithValue(read, scopeKey{}, begun)
}

// unscoped returns a context whose overrides apply as long as the context is in use.
func unscoped(ctx context.Context) context.Context {
	if scopeOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, (*scope)(nil))
}

// completeWith completes the scope when ctx is done. A long-lived context, such as a consumer's, does not keep the
// scopes of all its messages alive.
func (s *scope) completeWith(ctx context.Context) {
	pointer := weak.Make(s)
	stop := context.AfterFunc(ctx, func() {
		if alive := pointer.Value(); alive != nil {
			alive.complete()
		}
	})
	runtime.AddCleanup(s, func(stop func() bool) { stop() }, stop)
}

func (s *scope) complete() {
	s.completed.CompareAndSwap(notComplete, int64(time.Since(started)))
}

func (s *scope) isComplete() bool { return s.completed.Load() != notComplete }

// isOver returns whether the overrides have ended.
func (s *scope) isOver() bool {
	at := s.completed.Load()
	if at == notComplete {
		return false
	}
	since := time.Since(started) - time.Duration(at)
	return since >= s.atLeast && since >= afterResponse()
}

// isOver returns whether a context's overrides have ended.
func isOver(ctx context.Context) bool {
	scope := scopeOf(ctx)
	return scope != nil && scope.isOver()
}

func scopeOf(ctx context.Context) *scope {
	found, _ := ctx.Value(scopeKey{}).(*scope)
	return found
}

// afterResponse returns how long overrides apply after the response.
func afterResponse() time.Duration {
	text := strings.TrimSpace(os.Getenv(afterResponseVariable))
	if text == "" {
		return afterResponseDefault
	}
	found := duration.FindStringSubmatch(text)
	if found == nil {
		warnOnce(fmt.Sprintf("%s=%s is ignored: expected seconds, such as 60, 60s, 1.5, 500ms or 2m; using 60 s", afterResponseVariable, text))
		return afterResponseDefault
	}
	number, _ := strconv.ParseFloat(found[1], 64)
	return time.Duration(number * float64(units[found[2]]))
}

// warnOver warns once, for each place in the code, that its overrides have ended.
func warnOver(overrides []Override) {
	var names []string
	for _, one := range overrides[:min(len(overrides), reportedAtOnceMax)] {
		names = append(names, one.Key()+"="+one.Value)
	}
	carrier := callerName()
	if isFresh(carrier) {
		warn(fmt.Sprintf("detour: %s outlived its request by more than %v: it no longer carries %s. If it is meant to outlive requests, give it detour.Detached(ctx)",
			carrier, afterResponse(), strings.Join(names, ", ")))
	}
}

// between lists the packages between a service's code and this one in a stack trace.
var between = []string{"detour.dev/sdk/go.", "go.opentelemetry.io/", "google.golang.org/grpc", "net/http.", "runtime.", "log/slog."}

// callerName returns the function of the service that made the call.
func callerName() string {
	programs := make([]uintptr, 64)
	frames := runtime.CallersFrames(programs[:runtime.Callers(2, programs)])
	for {
		frame, more := frames.Next()
		if !isBetween(frame.Function) || !more {
			return fmt.Sprintf("%s (%s:%d)", frame.Function, frame.File, frame.Line)
		}
	}
}

func isBetween(function string) bool {
	for _, prefix := range between {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}
