package detour_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

type baggageVector struct {
	Name      string
	Lines     []string
	Overrides map[string]string
	Leaves    []string // nil where it is not said
}

type openTracingVector struct {
	Name        string
	OpenTracing string
	Lines       []string
	Overrides   map[string]string
	Leaves      []string // "" where it does not leave
	Members     []string
}

type flagVector struct {
	Text  string
	Type  string
	Value any
	Error openfeature.ErrorCode
}

// vectors reads what SDKs of all languages are tested with.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	content, err := os.ReadFile("../vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var read []T
	if err := json.Unmarshal(content, &read); err != nil {
		t.Fatal(err)
	}
	if len(read) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return read
}

func w3c() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

func extracted(header http.Header) context.Context {
	return detour.NewPropagator(w3c()).Extract(context.Background(), propagation.HeaderCarrier(header))
}

func byKey(overrides detour.Overrides) map[string]string {
	found := map[string]string{}
	for one := range overrides.All() {
		found[one.Key()] = one.Value
	}
	return found
}

func TestBaggageIsReadAsInEveryLanguage(t *testing.T) {
	for _, vector := range vectors[baggageVector](t, "baggage.json") {
		t.Run(vector.Name, func(t *testing.T) {
			ctx := extracted(http.Header{"Baggage": vector.Lines})
			if got := byKey(detour.Current(ctx)); !maps.Equal(got, vector.Overrides) {
				t.Errorf("%q\ncarries  %v\nexpected %v", vector.Lines, got, vector.Overrides)
			}
		})
	}
}

func TestWhatIsReadIsWrittenAgain(t *testing.T) {
	for _, vector := range vectors[baggageVector](t, "baggage.json") {
		t.Run(vector.Name, func(t *testing.T) {
			sent := http.Header{}
			detour.NewPropagator(w3c()).Inject(extracted(http.Header{"Baggage": vector.Lines}), propagation.HeaderCarrier(sent))
			if got := byKey(detour.Current(extracted(sent))); !maps.Equal(got, vector.Overrides) {
				t.Errorf("%q\nleft as  %q\nexpected %v", vector.Lines, sent["Baggage"], vector.Overrides)
			}
			if got := ownMembers(sent.Get("baggage")); vector.Leaves != nil && !slices.Equal(got, vector.Leaves) {
				t.Errorf("%q\nleft as  %q\nexpected %q", vector.Lines, got, vector.Leaves)
			}
		})
	}
}

// ownMembers returns the members of a header that are overrides, sorted.
func ownMembers(header string) []string {
	own := []string{}
	for _, member := range strings.Split(header, ",") {
		if strings.HasPrefix(member, "override") {
			own = append(own, member)
		}
	}
	slices.Sort(own)
	return own
}

func TestBothHeadersAreCarriedAsInEveryLanguage(t *testing.T) {
	for _, vector := range vectors[openTracingVector](t, "opentracing.json") {
		t.Run(vector.Name, func(t *testing.T) {
			ctx := extracted(http.Header{"X-Ot-Span-Context": {vector.OpenTracing}, "Baggage": vector.Lines})
			if got := byKey(detour.Current(ctx)); !maps.Equal(got, vector.Overrides) {
				t.Errorf("carries  %v\nexpected %v", got, vector.Overrides)
			}
			sent := http.Header{}
			detour.NewPropagator(w3c()).Inject(ctx, propagation.HeaderCarrier(sent))
			if got := sent.Get("x-ot-span-context"); !slices.Contains(vector.Leaves, got) {
				t.Errorf("leaves as %q\nexpected  %q", got, vector.Leaves)
			}
			members := strings.Split(sent.Get("baggage"), ",")
			slices.Sort(members)
			if got, expected := strings.Join(members, ","), strings.Join(vector.Members, ","); got != expected {
				t.Errorf("baggage leaves as %q\nexpected          %q", got, expected)
			}
		})
	}
}

func TestFlagsAreReadAsInEveryLanguage(t *testing.T) {
	for _, vector := range vectors[flagVector](t, "flags.json") {
		t.Run(vector.Type+" "+vector.Text, func(t *testing.T) {
			value, detail := evaluate(t, vector.Type, vector.Text)
			if got := detail.ResolutionDetail().ErrorCode; got != vector.Error {
				t.Fatalf("error code %q, expected %q", got, vector.Error)
			}
			if vector.Error == "" && !reflect.DeepEqual(value, vector.Value) {
				t.Errorf("%#v, expected %#v", value, vector.Value)
			}
		})
	}
}

// evaluate asks a provider for a flag that a request sets; the value is as encoding/json has it.
func evaluate(t *testing.T, kind, text string) (any, openfeature.ProviderResolutionDetail) {
	t.Helper()
	ctx := detour.With(context.Background(), config(t, text))
	provider := detour.NewProvider(nil)
	switch kind {
	case "boolean":
		got := provider.BooleanEvaluation(ctx, "flag", false, nil)
		return got.Value, got.ProviderResolutionDetail
	case "string":
		got := provider.StringEvaluation(ctx, "flag", "", nil)
		return got.Value, got.ProviderResolutionDetail
	case "integer":
		got := provider.IntEvaluation(ctx, "flag", 0, nil)
		return float64(got.Value), got.ProviderResolutionDetail
	case "float":
		got := provider.FloatEvaluation(ctx, "flag", 0, nil)
		return got.Value, got.ProviderResolutionDetail
	case "object":
		got := provider.ObjectEvaluation(ctx, "flag", nil, nil)
		return got.Value, got.ProviderResolutionDetail
	}
	t.Fatalf("no test for flags of type %q", kind)
	return nil, openfeature.ProviderResolutionDetail{}
}

func config(t *testing.T, text string) detour.Overrides {
	t.Helper()
	return parsed(t, "config.flag="+text)
}

func parsed(t testing.TB, words ...string) detour.Overrides {
	t.Helper()
	overrides, err := detour.Parse(words...)
	if err != nil {
		t.Fatal(err)
	}
	return overrides
}
