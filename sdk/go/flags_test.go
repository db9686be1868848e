package detour_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/memprovider"

	detour "detour.dev/sdk/go"
)

func TestFlagHasTheTypeOfItsDefault(t *testing.T) {
	ctx := detour.With(context.Background(), parsed(t, "config.on=TRUE", "config.limit=7", "config.share=0.25", "config.text=a b"))
	if !detour.Flag(ctx, "on", false) {
		t.Error("on")
	}
	if got := detour.Flag(ctx, "limit", 3); got != 7 {
		t.Error(got)
	}
	if got := detour.Flag(ctx, "limit", int64(3)); got != 7 {
		t.Error(got)
	}
	if got := detour.Flag(ctx, "share", 0.5); got != 0.25 {
		t.Error(got)
	}
	if got := detour.Flag(ctx, "text", ""); got != "a b" {
		t.Error(got)
	}
}

func TestFlagThatTheRequestDoesNotNameIsTheDefault(t *testing.T) {
	if got := detour.Flag(context.Background(), "limit", 3); got != 3 {
		t.Error(got)
	}
	if got := detour.FlagObject(context.Background(), "limits", []int{3}); !reflect.DeepEqual(got, []int{3}) {
		t.Error(got)
	}
}

func TestFlagOfAnotherTypeIsTheDefaultAndToldOnce(t *testing.T) {
	ctx := detour.With(context.Background(), parsed(t, "config.never-a-number=many"))
	log := logged(t, func() {
		for range 3 {
			if got := detour.Flag(ctx, "never-a-number", 3); got != 3 {
				t.Error(got)
			}
		}
	})
	if strings.Count(log, "override.config.never-a-number=many") != 1 {
		t.Errorf("%q", log)
	}
}

func TestFlagObjectReadsStructsMapsAndSlices(t *testing.T) {
	type limits struct {
		Limit int      `json:"limit"`
		Tags  []string `json:"tags"`
	}
	ctx := detour.With(context.Background(), parsed(t, `config.limits={"limit": 3, "tags": ["a"]}`, `config.list=[1, 2]`))
	if got := detour.FlagObject(ctx, "limits", limits{}); !reflect.DeepEqual(got, limits{3, []string{"a"}}) {
		t.Error(got)
	}
	if got := detour.FlagObject(ctx, "limits", map[string]any{}); got["limit"] != 3.0 {
		t.Error(got)
	}
	if got := detour.FlagObject(ctx, "list", []int(nil)); !reflect.DeepEqual(got, []int{1, 2}) {
		t.Error(got)
	}
}

func TestFlagObjectOfAnotherShapeIsTheDefaultWhole(t *testing.T) {
	type limits struct{ A, B int }
	ctx := detour.With(context.Background(), parsed(t, `config.limits={"A": 1, "B": "two"}`, "config.null=null"))
	for _, name := range []string{"limits", "null"} {
		if got := detour.FlagObject(ctx, name, limits{7, 8}); got != (limits{7, 8}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestProviderSaysThatAnOverrideAnswered(t *testing.T) {
	got := detour.NewProvider(nil).BooleanEvaluation(detour.With(context.Background(), config(t, "on")), "flag", false, nil)
	if !got.Value || got.Variant != "override" || got.Reason != openfeature.TargetingMatchReason {
		t.Errorf("%+v", got)
	}
}

func TestProviderAloneAnswersWithDefaults(t *testing.T) {
	got := detour.NewProvider(nil).IntEvaluation(context.Background(), "flag", 3, nil)
	if got.Value != 3 || got.Reason != openfeature.DefaultReason || got.Error() != nil {
		t.Errorf("%+v", got)
	}
}

func TestUnparsableOverrideGivesTheDefaultWithItsErrorCode(t *testing.T) {
	client := clientOf(t, detour.NewProvider(inMemory()))
	ctx := detour.With(context.Background(), config(t, "many"))
	got, err := client.IntValueDetails(ctx, "flag", 3, openfeature.EvaluationContext{})
	if got.Value != 3 || got.ErrorCode != openfeature.ParseErrorCode || got.Reason != openfeature.ErrorReason || err == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheTeamsProviderAnswersWhatTheRequestDoesNotName(t *testing.T) {
	client := clientOf(t, detour.NewProvider(inMemory()))
	if got := client.Int(context.Background(), "flag", 3, openfeature.EvaluationContext{}); got != 42 {
		t.Error(got)
	}
	if got := client.Int(detour.With(context.Background(), config(t, "7")), "flag", 3, openfeature.EvaluationContext{}); got != 7 {
		t.Error(got)
	}
}

func inMemory() openfeature.FeatureProvider {
	return memprovider.NewInMemoryProvider(map[string]memprovider.InMemoryFlag{
		"flag": {State: memprovider.Enabled, DefaultVariant: "high", Variants: map[string]any{"high": 42}},
	})
}

func clientOf(t *testing.T, provider openfeature.FeatureProvider) *openfeature.Client {
	t.Helper()
	if err := openfeature.SetNamedProviderAndWait(t.Name(), provider); err != nil {
		t.Fatal(err)
	}
	return openfeature.NewClient(t.Name())
}

// A flagService is a provider with everything that OpenFeature lets one have.
type flagService struct {
	openfeature.NoopProvider
	failure error
	events  chan openfeature.Event
	heard   []string
}

func (f *flagService) Init(openfeature.EvaluationContext) error {
	f.heard = append(f.heard, "init")
	return f.failure
}

func (f *flagService) Shutdown() { f.heard = append(f.heard, "shutdown") }

func (f *flagService) EventChannel() <-chan openfeature.Event { return f.events }

func (f *flagService) Hooks() []openfeature.Hook {
	return []openfeature.Hook{openfeature.UnimplementedHook{}}
}

func (f *flagService) Track(_ context.Context, event string, _ openfeature.EvaluationContext, _ openfeature.TrackingEventDetails) {
	f.heard = append(f.heard, event)
}

func TestTheTeamsProviderIsStartedToldAndStopped(t *testing.T) {
	service := &flagService{failure: errors.New("no flags today"), events: make(chan openfeature.Event)}
	provider := detour.NewProvider(service)
	if got := provider.Metadata().Name; got != "Detour overrides, then NoopProvider" {
		t.Error(got)
	}
	if err := provider.(openfeature.StateHandler).Init(openfeature.EvaluationContext{}); err != service.failure {
		t.Error(err)
	}
	provider.(openfeature.Tracker).Track(context.Background(), "ordered", openfeature.EvaluationContext{}, openfeature.TrackingEventDetails{})
	provider.(openfeature.StateHandler).Shutdown()
	if !reflect.DeepEqual(service.heard, []string{"init", "ordered", "shutdown"}) || len(provider.Hooks()) != 1 {
		t.Errorf("%v, %v", service.heard, provider.Hooks())
	}
	if provider.(openfeature.EventHandler).EventChannel() != service.events {
		t.Error("its events are not passed on")
	}
}
