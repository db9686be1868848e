package detour

import (
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"context"

	"go.opentelemetry.io/otel/propagation"
)

// alone carries overrides and nothing else.
var alone = &propagator{propagation.NewCompositeTextMapPropagator()}

// wrapsHTTP says that Handler or Transport has been asked for.
var wrapsHTTP atomic.Bool

// Handler returns a handler that serves each request under the overrides that it brings, whether it is traced or not:
// a filter of otelhttp's leaves out reading the header, too. It stands outside of otelhttp's handler, or alone.
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

// Transport returns a transport whose requests carry the overrides of their context, whether they are traced or not.
// It stands below otelhttp's transport, or alone; what has been written already, it leaves. Without a base it is
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

// RoundTrip writes into a copy: a transport may not change the request.
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

// CloseIdleConnections is what http.Client calls.
func (t *transport) CloseIdleConnections() {
	if closing, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closing.CloseIdleConnections()
	}
}

// DialSidecar connects to the sidecar that http_proxy names, on the loopback interface; without one, or where
// no_proxy names the address, to the address itself. It is for clients that send HTTP/2 in the clear and ignore
// http_proxy, above all grpc-go's, which asks https_proxy only. The sidecar knows the service by the request's
// authority, so the name need not be resolved:
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

// sidecarFor returns the address of the sidecar; "" if it is not to be used for this one.
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
