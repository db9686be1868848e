// Package a drops contexts, and passes them on.
package a

import (
	"context"
	"log/slog"
	"net/http"
)

type request = http.Request

func load(context.Context) error { return nil }

func withContext(ctx context.Context) {
	_ = load(ctx)
	_ = load(context.WithoutCancel(ctx))
	_ = load(context.Background()) // want `context.Background drops the request's overrides: pass ctx on, or context.WithoutCancel\(ctx\) to what outlives the request`
	_ = load(context.TODO())       // want `context.TODO drops the request's overrides`
}

func handler(_ http.ResponseWriter, incoming *http.Request) {
	_ = load(context.Background()) // want `pass incoming.Context\(\) on`
}

func aliased(r *request) {
	_ = load(context.Background()) // want `pass r.Context\(\) on`
}

func unnamed(context.Context) {
	_ = load(context.Background()) // want `pass ctx on`
}

func blank(http.ResponseWriter, *http.Request) {
	_ = load(context.Background()) // want `pass r.Context\(\) on`
}

func inGoroutine(ctx context.Context) {
	go func() {
		_ = load(context.Background())              // want `pass ctx on`
		defer func() { _ = load(context.TODO()) }() // want `pass ctx on`
	}()
}

func inClosure() http.HandlerFunc {
	_ = load(context.Background())
	return func(w http.ResponseWriter, r *http.Request) {
		_ = load(context.Background()) // want `pass r.Context\(\) on`
	}
}

func nearest(ctx context.Context) func(context.Context) {
	return func(inner context.Context) {
		_ = load(context.Background()) // want `pass inner on`
	}
}

func withoutOne(ctx context.Context, client *http.Client) {
	_, _ = http.Get("http://users/")                 // want `http.Get drops the request's overrides: call http.NewRequestWithContext\(ctx, ...\)`
	_, _ = http.Post("http://users/", "", nil)       // want `http.Post drops`
	_, _ = http.NewRequest(http.MethodGet, "/", nil) // want `http.NewRequest drops`
	_, _ = client.Head("http://users/")              // want `http.Head drops`
	_, _ = (http.PostForm)("http://users/", nil)     // want `http.PostForm drops`
	_, _ = http.NewRequestWithContext(ctx, "GET", "/", nil)
	slog.InfoContext(ctx, http.Header{}.Get("baggage"))
}

type cache struct{}

func (cache) Get(string) {}

func (c cache) refresh(ctx context.Context) {
	c.Get("users")
	_ = load(context.Background()) // want `pass ctx on`
}

func meant(ctx context.Context) {
	//detour:detached the cache serves all requests
	_ = load(context.Background())
	_ = load(context.Background()) //detour:detached the cache serves all requests

	//detour:detached
	_ = load(context.Background()) // want `pass ctx on`
}

func noRequest() {
	_ = load(context.Background())
	_, _ = http.Get("http://users/")
}

var handlers = []http.HandlerFunc{
	func(_ http.ResponseWriter, r *http.Request) { _ = load(context.TODO()) }, // want `pass r.Context\(\) on`
}
