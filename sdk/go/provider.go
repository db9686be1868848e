package detour

import (
	"context"

	"github.com/open-feature/go-sdk/openfeature"
)

const overrideVariant = "override"

// NewProvider returns an OpenFeature provider that answers with the request's override.config.<flag>, and has the
// team's own provider answer all else. Without one, flags that the request does not name have their defaults.
// A text that has no value of the type that is asked for gives the default, with OpenFeature's error code.
//
//	openfeature.SetProviderAndWait(detour.NewProvider(flagd.NewProvider()))
func NewProvider(next openfeature.FeatureProvider) openfeature.FeatureProvider {
	if next == nil {
		return &provider{openfeature.NoopProvider{}, "Detour overrides"}
	}
	return &provider{next, "Detour overrides, then " + next.Metadata().Name}
}

// A provider also has the other one's hooks, states, events and tracking: whoever asks for those knows no other.
type provider struct {
	next openfeature.FeatureProvider
	name string
}

func (p *provider) Metadata() openfeature.Metadata {
	return openfeature.Metadata{Name: p.name}
}

func (p *provider) Hooks() []openfeature.Hook {
	return p.next.Hooks()
}

func (p *provider) Init(evaluation openfeature.EvaluationContext) error {
	if next, ok := p.next.(openfeature.StateHandler); ok {
		return next.Init(evaluation)
	}
	return nil
}

func (p *provider) Shutdown() {
	if next, ok := p.next.(openfeature.StateHandler); ok {
		next.Shutdown()
	}
}

// EventChannel returns the other provider's; one without events has none that ever says anything.
func (p *provider) EventChannel() <-chan openfeature.Event {
	if next, ok := p.next.(openfeature.EventHandler); ok {
		return next.EventChannel()
	}
	return nil
}

func (p *provider) Track(ctx context.Context, event string, evaluation openfeature.EvaluationContext, details openfeature.TrackingEventDetails) {
	if next, ok := p.next.(openfeature.Tracker); ok {
		next.Track(ctx, event, evaluation, details)
	}
}

func (p *provider) BooleanEvaluation(ctx context.Context, flag string, otherwise bool, evaluation openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	return evaluated(ctx, flag, otherwise, evaluation, readFlag[bool], p.next.BooleanEvaluation)
}

func (p *provider) StringEvaluation(ctx context.Context, flag string, otherwise string, evaluation openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	return evaluated(ctx, flag, otherwise, evaluation, readFlag[string], p.next.StringEvaluation)
}

func (p *provider) FloatEvaluation(ctx context.Context, flag string, otherwise float64, evaluation openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	return evaluated(ctx, flag, otherwise, evaluation, readFlag[float64], p.next.FloatEvaluation)
}

func (p *provider) IntEvaluation(ctx context.Context, flag string, otherwise int64, evaluation openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	return evaluated(ctx, flag, otherwise, evaluation, readFlag[int64], p.next.IntEvaluation)
}

func (p *provider) ObjectEvaluation(ctx context.Context, flag string, otherwise any, evaluation openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	return evaluated(ctx, flag, otherwise, evaluation, readObject[any], p.next.ObjectEvaluation)
}

type evaluation[T any] func(context.Context, string, T, openfeature.FlattenedContext) openfeature.GenericResolutionDetail[T]

// evaluated answers with what the request says that a flag is, and with the other provider's answer if it says nothing.
func evaluated[T any](ctx context.Context, flag string, otherwise T, flat openfeature.FlattenedContext, read func(string) (T, *flagError), next evaluation[T]) openfeature.GenericResolutionDetail[T] {
	value, found, err := overridden(ctx, flag, read)
	if !found {
		return next(ctx, flag, otherwise, flat)
	}
	if err != nil {
		return openfeature.GenericResolutionDetail[T]{Value: otherwise, ProviderResolutionDetail: err.detail()}
	}
	return openfeature.GenericResolutionDetail[T]{
		Value: value,
		ProviderResolutionDetail: openfeature.ProviderResolutionDetail{
			Reason:  openfeature.TargetingMatchReason,
			Variant: overrideVariant,
		},
	}
}

func (e *flagError) detail() openfeature.ProviderResolutionDetail {
	resolution := openfeature.NewParseErrorResolutionError(e.Error())
	if e.mismatch {
		resolution = openfeature.NewTypeMismatchResolutionError(e.Error())
	}
	return openfeature.ProviderResolutionDetail{ResolutionError: resolution, Reason: openfeature.ErrorReason}
}
