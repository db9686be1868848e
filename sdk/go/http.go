package detour

import (
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"context"

	"go.opentelemetry.io/otel/propagation"
)

// alone carries only overrides.
var alone = &propagator{propagation.NewCompositeTextMapPropagator()}

// wrapsHTTP is set when Handler or Transport is called.
var wrapsHTTP atomic.Bool

// Handler returns a handler that serves each request with its overrides, traced or not: a filter of otelhttp also
// skips reading the header. It wraps otelhttp's handler, or works alone.
//
//	http.ListenAndServe(":8080", detour.Handler(otelhttp.NewHandler(mux, "rides", otelhttp.WithFilter(notHealth))))
func Handler(next http.Handler) http.Handler {
	wrapsHTTP.Store(true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := alone.Extract(Detached(r.Context()), propagation.HeaderCarrier(r.Header))
		if ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// Transport returns a transport whose requests carry the overrides of their context, traced or not. It is the base of
// otelhttp's transport, or works alone; headers that have been written already stay. Without a base it uses
// http.DefaultTransport.
//
//	client := &http.Client{Transport: otelhttp.NewTransport(detour.Transport(http.DefaultTransport))}
func Transport(base http.RoundTripper) http.RoundTripper {
	wrapsHTTP.Store(true)
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{base}
}

type transport struct {
	base http.RoundTripper
}

// RoundTrip writes into a copy, because a transport must not change the request.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	written := strings.Join(request.Header.Values(baggageHeader), ",")
	if held(request.Context()).bag.Len() == 0 || strings.Contains(written, prefix) {
		return t.base.RoundTrip(request)
	}
	if !Current(request.Context()).read().isEmpty() {
		request = request.Clone(request.Context())
		alone.Inject(request.Context(), propagation.HeaderCarrier(request.Header))
	}
	return t.base.RoundTrip(request)
}

// CloseIdleConnections is called by http.Client.
func (t *transport) CloseIdleConnections() {
	if closing, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closing.CloseIdleConnections()
	}
}

// DialSidecar connects to the sidecar that http_proxy names, on the loopback interface. Without it, or if no_proxy
// contains the address, it connects to the address itself. It is for clients that send HTTP/2 in plain text and
// ignore http_proxy, above all grpc-go's, which only reads https_proxy. The sidecar finds the service by the
// request's authority, so the name need not be resolved:
//
//	grpc.NewClient("passthrough:///users", grpc.WithContextDialer(detour.DialSidecar), ...)
func DialSidecar(ctx context.Context, address string) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "80")
	}
	if proxy := sidecarFor(address); proxy != "" {
		address = proxy
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// sidecarFor returns the address of the sidecar; "" if it must not be used for this address.
func sidecarFor(address string) string {
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return ""
	}
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil || proxy == nil || proxy.Scheme != "http" {
		return ""
	}
	if ip := net.ParseIP(proxy.Hostname()); proxy.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return ""
	}
	return net.JoinHostPort(proxy.Hostname(), orDefault(proxy.Port()))
}

func orDefault(port string) string {
	if port == "" {
		return "80"
	}
	return port
}
