package detour_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/open-feature/go-sdk/openfeature"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

func request(words ...string) context.Context {
	overrides, err := detour.Parse(words...)
	if err != nil {
		panic(err)
	}
	return detour.With(context.Background(), overrides)
}

// A service takes its requests' overrides in and hands them on. What otelhttp does for net/http is written out here.
func Example() {
	detour.Install()
	propagator := otel.GetTextMapPropagator()

	users := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("users gets", r.Header.Get("baggage"))
	}))
	defer users.Close()

	rides := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))

		route, _ := detour.Current(ctx).Route("users")
		fmt.Println("rides reads", route)

		onward, err := http.NewRequestWithContext(ctx, http.MethodGet, users.URL, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		propagator.Inject(ctx, propagation.HeaderCarrier(onward.Header))
		answer, err := users.Client().Do(onward)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		answer.Body.Close()
	})

	incoming := httptest.NewRequest(http.MethodGet, "/rides", nil)
	incoming.Header.Set("baggage", "override.route.users=pr-42,team=a")
	rides.ServeHTTP(httptest.NewRecorder(), incoming)
	// Output:
	// rides reads pr-42
	// users gets team=a,override.route.users=pr-42
}

func ExampleWith() {
	overrides, err := detour.Parse("users=pr-42", "config.new-checkout=on")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := detour.With(context.Background(), overrides)
	fmt.Println(detour.Current(ctx))
	// Output: override.config.new-checkout=on,override.route.users=pr-42
}

func ExampleParse() {
	_, err := detour.Parse("users=pr-42", "delay.payments=soon")
	fmt.Println(err)
	// Output: detour: "delay.payments=soon" is not an override: expected a delay such as 300ms or 1.5s, at most 60s
}

func ExampleFlag() {
	ctx := request("config.new-checkout=on", "config.page-size=50", "config.share=many")
	fmt.Println(detour.Flag(ctx, "new-checkout", false))
	fmt.Println(detour.Flag(ctx, "page-size", 20))
	fmt.Println(detour.Flag(ctx, "share", 0.5))
	// Output:
	// true
	// 50
	// 0.5
}

func ExampleFlagObject() {
	type limits struct{ Rides, Users int }
	ctx := request(`config.limits={"rides": 3, "users": 7}`)
	fmt.Println(detour.FlagObject(ctx, "limits", limits{Rides: 1, Users: 1}))
	// Output: {3 7}
}

func ExampleNewProvider() {
	team := openfeature.NoopProvider{} // the team's own
	if err := openfeature.SetProviderAndWait(detour.NewProvider(team)); err != nil {
		fmt.Println(err)
		return
	}
	client := openfeature.NewClient("rides")

	details, err := client.BooleanValueDetails(request("config.new-checkout=on"), "new-checkout", false, openfeature.EvaluationContext{})
	fmt.Println(details.Value, details.Variant, details.Reason, err)
	details, err = client.BooleanValueDetails(context.Background(), "new-checkout", false, openfeature.EvaluationContext{})
	fmt.Println(details.Value, details.Reason, err)
	// Output:
	// true override TARGETING_MATCH <nil>
	// false DEFAULT <nil>
}

func ExampleNewHandler() {
	withoutTime := func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return attr
	}
	json := slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withoutTime})
	logger := slog.New(detour.NewHandler(json, "rides"))

	logger.DebugContext(request("log.rides=debug"), "looking for a car")
	logger.DebugContext(context.Background(), "looking for another car")
	// Output: {"level":"DEBUG","msg":"looking for a car"}
}

func ExampleDatabase() {
	fmt.Println(detour.Database(request("db.rides=copy"), "rides", "main", "copy"))
	fmt.Println(detour.Database(context.Background(), "rides", "main", "copy"))
	// Output:
	// copy
	// main
}

func ExampleInjectTable() {
	// The producer:
	headers := detour.InjectTable(request("users=pr-42"), nil)
	sent, _ := json.Marshal(headers)
	fmt.Println(string(sent))

	// The consumer, for each message:
	ctx := detour.ExtractTable(context.Background(), headers)
	fmt.Println(detour.Current(ctx))
	// Output:
	// {"baggage":"override.route.users=pr-42"}
	// override.route.users=pr-42
}
