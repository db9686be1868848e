// Package readme has the examples of the SDK's README, line by line: tests/docs compares them.
package readme

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	amqp "github.com/rabbitmq/amqp091-go"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	detour "detour.dev/sdk/go"
)

// request returns the context of a request that carries overrides.
func request(t *testing.T, words ...string) context.Context {
	overrides, err := detour.Parse(words...)
	if err != nil {
		t.Fatal(err)
	}
	return detour.With(t.Context(), overrides)
}

// serving takes the place of a server that listens, where a test says so.
var serving func(handler http.Handler)

func main() {
	// otel.SetTracerProvider, otel.SetTextMapPropagator, as ever; then, before any instrumentation is made:
	detour.Install()
	slog.SetDefault(slog.New(detour.NewHandler(slog.NewJSONHandler(os.Stdout, nil), "rides")))

	client := &http.Client{Transport: otelhttp.NewTransport(detour.Transport(http.DefaultTransport))}
	handler := func(w http.ResponseWriter, r *http.Request) {
		onward, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://users/users/1", nil)
		answer, err := client.Do(onward) // goes to the deployment that the request names
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		io.Copy(w, answer.Body)
	}
	service := detour.Handler(otelhttp.NewHandler(http.HandlerFunc(handler), "rides"))
	if serving != nil {
		serving(service)
		return
	}
	http.ListenAndServe(":8080", service)
}

func TestTenLines(t *testing.T) {
	sidecar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.String(), " ", r.Header.Get("baggage"))
	}))
	defer sidecar.Close()
	before := slog.Default()
	defer slog.SetDefault(before)
	t.Setenv("http_proxy", sidecar.URL)
	serving = func(service http.Handler) {
		incoming := httptest.NewRequest(http.MethodGet, "/rides", nil)
		incoming.Header.Set("baggage", "override.route.users=pr-42")
		answer := httptest.NewRecorder()
		service.ServeHTTP(answer, incoming)
		if got := answer.Body.String(); got != "http://users/users/1 override.route.users=pr-42" {
			t.Error(got)
		}
	}
	main()
}

func TestWorkThatGoesOn(t *testing.T) {
	ctx := request(t, "users=pr-42")
	seen := make(chan detour.Overrides)
	refresh := func(ctx context.Context) { seen <- detour.Current(ctx) }
	go refresh(detour.Detached(context.WithoutCancel(ctx))) // without overrides; the trace stays
	if got := (<-seen).String(); got != "" {
		t.Error(got)
	}
	go func() {
		//detour:detached the cache is everybody's
		refresh(context.Background())
	}()
	<-seen
}

func TestTheWayThroughTheSidecar(t *testing.T) {
	options := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err :=
		grpc.NewClient("passthrough:///users", grpc.WithContextDialer(detour.DialSidecar), options)
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
}

func TestWhatARequestCarries(t *testing.T) {
	var ctx context.Context
	{
		ctx := t.Context()
		overrides, err := detour.Parse("users=pr-42", "config.new-checkout=on", "delay.payments=300ms")
		ctx = detour.With(ctx, overrides)
		if err != nil || len(slices.Collect(detour.Current(ctx).All())) != 3 {
			t.Error(overrides, err)
		}
	}
	ctx = request(t, "users=pr-42", "delay.payments=300ms")
	overrides := detour.Current(ctx)
	deployment, ok := overrides.Route("users")
	if !ok || deployment != "pr-42" {
		t.Error(deployment, ok)
	}
	value, ok := overrides.Value(detour.KindDelay, "payments")
	if !ok || value != "300ms" {
		t.Error(value, ok)
	}
	var seen []string
	for one := range overrides.All() {
		seen = append(seen, fmt.Sprint(one))
	}
	if len(seen) != 2 {
		t.Error(seen)
	}
}

type Limits struct{ Rides int }

func TestFlags(t *testing.T) {
	flagd := openfeature.NoopProvider{}
	ctx := request(t, "config.new-checkout=on", `config.limits={"Rides": 7}`)
	openfeature.SetProviderAndWait(detour.NewProvider(flagd))
	client := openfeature.NewClient("rides")
	if on, err := client.BooleanValue(ctx, "new-checkout", false, openfeature.EvaluationContext{}); !on || err != nil {
		t.Error(on, err)
	}
	isNew := false
	if detour.Flag(ctx, "new-checkout", false) {
		isNew = true
	}
	limits := detour.FlagObject(ctx, "limits", Limits{Rides: 3}) // JSON, into a struct, a map, or a slice
	if !isNew || limits.Rides != 7 {
		t.Error(isNew, limits)
	}
}

func TestLogLevel(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	before := os.Stdout
	defer func() { os.Stdout = before }()
	os.Stdout = file
	ctx := request(t, "log.rides=debug")
	logger := slog.New(detour.NewHandler(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelWarn}), "rides"))
	logger.DebugContext(ctx, "looking for a car") // Debug, without a context, can't know the request
	logger.Debug("looking for another car")
	written, err := os.ReadFile(file.Name())
	if err != nil || strings.Count(string(written), "looking for") != 1 {
		t.Error(string(written), err)
	}
}

func TestDatabase(t *testing.T) {
	ctx := request(t, "db.rides=copy")
	name := detour.Database(ctx, "rides", "main", "copy") // main, or copy for a request with override.db.rides=copy
	if name != "copy" {
		t.Error(name)
	}
}

// channel is a queue without a broker, with a method as amqp.Channel has it.
type queue struct{ sent chan amqp.Delivery }

func (q queue) PublishWithContext(_ context.Context, _, _ string, _, _ bool, message amqp.Publishing) error {
	q.sent <- amqp.Delivery{Headers: message.Headers, Body: message.Body}
	return nil
}

func TestQueues(t *testing.T) {
	channel, body := queue{make(chan amqp.Delivery, 1)}, []byte("a ride")
	ctx := request(t, "users=pr-42")
	channel.PublishWithContext(ctx, "", "rides", false, false, amqp.Publishing{Headers: detour.InjectTable(ctx, nil), Body: body})

	close(channel.sent)
	consumer, deliveries := t.Context(), channel.sent
	var handled []string
	handle := func(ctx context.Context, message amqp.Delivery) {
		handled = append(handled, fmt.Sprint(detour.Current(ctx), " ", string(message.Body)))
	}
	for message := range deliveries {
		ctx, cancel := context.WithCancel(consumer) // a context for each message, and its end
		handle(detour.ExtractTable(ctx, message.Headers), message)
		cancel()
	}
	if len(handled) != 1 || handled[0] != "override.route.users=pr-42 a ride" {
		t.Error(handled)
	}
}
