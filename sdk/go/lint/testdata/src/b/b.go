// Package b has clients that carry nothing, and handlers that start what outlives them.
package b

import (
	"context"
	"net/http"
	"sync"
	"time"

	detour "detour.dev/sdk/go"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

func load(context.Context) error { return nil }

func audit(*http.Request) {}

var (
	_       = &http.Client{}                                 // want `this http.Client carries no overrides: wrap its transport in detour.Transport or otelhttp.NewTransport`
	_       = http.Client{Timeout: time.Second}              // want `carries no overrides`
	_       = &http.Client{Transport: http.DefaultTransport} // want `carries no overrides`
	_       = &http.Client{Transport: &http.Transport{}}     // want `carries no overrides`
	_       = http.DefaultClient                             // want `http.DefaultClient carries no overrides: make a client`
	_       = &http.Client{Transport: wrapped(http.DefaultTransport)}
	outside = &http.Client{} //detour:detached it calls the bank
)

func wrapped(base http.RoundTripper) http.RoundTripper { return base }

func dial(ctx context.Context, options ...grpc.DialOption) {
	_, _ = grpc.NewClient("users")                                 // want `grpc.NewClient carries no overrides: add grpc.WithStatsHandler\(otelgrpc.NewClientHandler\(\)\)`
	_, _ = grpc.DialContext(ctx, "users", grpc.WithAuthority("a")) // want `grpc.DialContext carries no overrides`
	_ = grpc.NewServer()                                           // want `grpc.NewServer carries no overrides: add grpc.StatsHandler\(otelgrpc.NewServerHandler\(\)\)`
	_, _ = grpc.NewClient("users", grpc.WithStatsHandler(nil))
	_, _ = grpc.NewClient("users", grpc.WithUnaryInterceptor(nil))
	_, _ = grpc.NewClient("users", options...)
	_, _ = grpc.NewClient("users", options[0])
	_ = grpc.NewServer(grpc.StatsHandler(nil))
}

func starting(_ http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	free := context.WithoutCancel(ctx)
	go load(ctx)                                     // want `this goroutine runs on when the handler has returned, and the context is cancelled: give it context.WithoutCancel\(r.Context\(\)\), or detour.Detached`
	go func() { _ = load(limited) }()                // want `this goroutine runs on`
	go func() { _ = load(r.Context()) }()            // want `this goroutine runs on`
	go audit(r)                                      // want `this goroutine runs on`
	time.AfterFunc(1, func() { _ = load(ctx) })      // want `time.AfterFunc runs on`
	context.AfterFunc(ctx, func() { _ = load(ctx) }) // want `context.AfterFunc runs on`
	go load(free)
	go load(context.WithoutCancel(ctx))
	go func(path string) {}(r.URL.Path)
	go load(ctx) //detour:detached it may fail

	go func() { // want `this goroutine is a loop that outlives the request, whose overrides it keeps for a time: give it detour.Detached\(context.WithoutCancel\(r.Context\(\)\)\)`
		for range time.NewTicker(1).C {
			_ = load(context.WithoutCancel(ctx))
		}
	}()
	go func() {
		for {
			_ = load(detour.Detached(context.WithoutCancel(ctx)))
		}
	}()
}

func waiting(_ http.ResponseWriter, r *http.Request) {
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		defer group.Done()
		_ = load(r.Context())
	}()
	group.Wait()
}

func receiving(_ http.ResponseWriter, r *http.Request) {
	done := make(chan error)
	go func() { done <- load(r.Context()) }()
	<-done
}

func start(ctx context.Context) {
	go load(ctx) // who starts it ends it
}

func groups(_ http.ResponseWriter, r *http.Request) {
	group, ctx := errgroup.WithContext(r.Context())
	group.Go(func() error { return load(ctx) }) // want `what errgroup.Group starts runs on when the handler has returned`
	var all sync.WaitGroup
	all.Go(func() { _ = load(r.Context()) }) // want `what sync.WaitGroup starts runs on`
	all.Go(func() { _ = load(context.WithoutCancel(r.Context())) })
}

func groupsThatAreWaitedFor(_ http.ResponseWriter, r *http.Request) {
	group, ctx := errgroup.WithContext(r.Context())
	group.Go(func() error { return load(ctx) })
	_ = group.Wait()
}
