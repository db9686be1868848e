package detour_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	detour "detour.dev/sdk/go"
)

// sink notes the baggage of each request.
func sink(t *testing.T) (url string, seen *[]string) {
	seen = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		*seen = append(*seen, strings.Join(r.Header.Values("baggage"), " and "))
	}))
	t.Cleanup(server.Close)
	return server.URL, seen
}

func TestATransportCarriesOverridesWithoutInstrumentation(t *testing.T) {
	url, seen := sink(t)
	client := &http.Client{Transport: detour.Transport(nil)}
	for _, one := range []struct {
		ctx    context.Context
		header string
	}{
		{request("users=pr-42"), ""},
		{context.Background(), ""},
		{context.Background(), "team=a"},
		{request("users=pr-42"), "team=a"},
		{request("users=pr-42"), "override.route.users=pr-7"}, // already chosen
	} {
		call, _ := http.NewRequestWithContext(one.ctx, http.MethodGet, url, nil)
		if one.header != "" {
			call.Header.Set("baggage", one.header)
		}
		before := call.Header.Clone()
		answer, err := client.Do(call)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if before.Get("baggage") != call.Header.Get("baggage") {
			t.Error("the request has been changed")
		}
	}
	expected := []string{"override.route.users=pr-42", "", "team=a", "team=a,override.route.users=pr-42", "override.route.users=pr-7"}
	if !slices.Equal(*seen, expected) {
		t.Errorf("the sink has seen %q", *seen)
	}
}

func TestAHandlerServesEachRequestUnderItsOwnOverrides(t *testing.T) {
	stale := request("users=stale")
	server := httptest.NewUnstartedServer(detour.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("route", route(r.Context()))
	})))
	server.Config.BaseContext = func(net.Listener) context.Context { return stale }
	server.Start()
	defer server.Close()
	for baggage, expected := range map[string]string{"override.route.users=pr-42": "pr-42", "": "", "team=a": ""} {
		call, _ := http.NewRequest(http.MethodGet, server.URL, nil)
		call.Header.Set("baggage", baggage)
		answer, err := server.Client().Do(call)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if found := answer.Header.Get("route"); found != expected {
			t.Errorf("with %q the route is %q, expected %q", baggage, found, expected)
		}
	}
}

// TestDialSidecar runs this test's own program anew: net/http reads http_proxy once.
func TestDialSidecar(t *testing.T) {
	if address := os.Getenv("DIALLED"); address != "" {
		connection, err := detour.DialSidecar(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Log("connected to " + connection.RemoteAddr().String())
		return
	}
	listen := func() string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return listener.Addr().String()
	}
	sidecar, direct := listen(), listen()
	for _, one := range []struct{ address, proxy, none, expected string }{
		{"users", "http://" + sidecar, "", sidecar},
		{"users:8080", "http://" + sidecar, "", sidecar},
		{"10.9.8.7:80", "http://" + sidecar, "", sidecar},
		{direct, "http://" + sidecar, "", direct},
		{direct, "", "", direct},
		{strings.Replace(direct, "127.0.0.1", "localhost", 1), "http://" + sidecar, "", direct},
		{direct, "http://proxy.example.test:3128", "", direct},
	} {
		command := exec.Command(os.Args[0], "-test.run=^TestDialSidecar$", "-test.v")
		command.Env = []string{"DIALLED=" + one.address, "http_proxy=" + one.proxy, "no_proxy=" + one.none}
		if printed, err := command.CombinedOutput(); err != nil || !strings.Contains(string(printed), "connected to "+one.expected) {
			t.Errorf("%+v: %v %s", one, err, printed)
		}
	}
}

func TestWhatOverridesGetLostInIsNamed(t *testing.T) {
	found := detour.UnseenIn([]string{"google.golang.org/grpc", "github.com/twmb/franz-go", "github.com/twmb/franz-go/plugin/kotel", "github.com/hibiken/asynq", "github.com/confluentinc/confluent-kafka-go/v2"})
	expected := []string{
		"calls and messages of google.golang.org/grpc carry overrides only by an instrumentation: go get go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
		"calls and messages of github.com/confluentinc/confluent-kafka-go carry overrides only by detour.InjectTable and detour.ExtractTable, or a carrier of your own",
		"calls and messages of github.com/hibiken/asynq carry overrides only by detour.InjectTable and detour.ExtractTable, or a carrier of your own",
	}
	if !slices.Equal(found, expected) {
		t.Errorf("named are %q", found)
	}
}

func TestAServiceThatWrapsNothingIsTold(t *testing.T) {
	warnings := logged(t, func() { detour.WarnUnwrapped(true); detour.WarnUnwrapped(false) })
	if strings.Count(warnings, "overrides are lost in net/http: wrap handlers in detour.Handler") != 1 {
		t.Errorf("the warnings are %q", warnings)
	}
}
