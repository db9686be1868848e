package detour

import (
	"context"

	of "github.com/open-feature/go-sdk/openfeature"
)

const overrideVariant = "override"

// NewProvider returns an OpenFeature provider that resolves override.config.<flag> of the request, and delegates
// everything else to the team's own provider. Without one, flags that the request does not set have their defaults.
// A text that is not a value of the requested type results in the default, with OpenFeature's error code.
//
//	openfeature.SetProviderAndWait(detour.NewProvider(flagd.NewProvider()))
func NewProvider(next of.FeatureProvider) of.FeatureProvider {
	if next == nil {
		return &provider{of.NoopProvider{}, "Detour overrides"}
	}
	return &provider{next, "Detour overrides, then " + next.Metadata().Name}
}

// A provider also exposes the other one's hooks, states, events and tracking, because clients know only this
// provider.
type provider struct {
	next of.FeatureProvider
	name string
}

func (p *provider) Metadata() of.Metadata {
	return of.Metadata{Name: p.name}
}

func (p *provider) Hooks() []of.Hook {
	return p.next.Hooks()
}

func (p *provider) Init(evaluation of.EvaluationContext) error {
	if next, ok := p.next.(of.StateHandler); ok {
		return next.Init(evaluation)
	}
	return nil
}

func (p *provider) Shutdown() {
	if next, ok := p.next.(of.StateHandler); ok {
		next.Shutdown()
	}
}

// EventChannel returns the other provider's channel; without one, a channel without events.
func (p *provider) EventChannel() <-chan of.Event {
	if next, ok := p.next.(of.EventHandler); ok {
		return next.EventChannel()
	}
	return nil
}

func (p *provider) Track(ctx context.Context, event string, evaluation of.EvaluationContext, details of.TrackingEventDetails) {
	if next, ok := p.next.(of.Tracker); ok {
		next.Track(ctx, event, evaluation, details)
	}
}

func (p *provider) BooleanEvaluation(ctx context.Context, flag string, otherwise bool, flat of.FlattenedContext) of.BoolResolutionDetail {
	return evaluated(ctx, flag, otherwise, flat, readFlag[bool], p.next.BooleanEvaluation)
}

func (p *provider) StringEvaluation(ctx context.Context, flag string, otherwise string, flat of.FlattenedContext) of.StringResolutionDetail {
	return evaluated(ctx, flag, otherwise, flat, readFlag[string], p.next.StringEvaluation)
}

func (p *provider) FloatEvaluation(ctx context.Context, flag string, otherwise float64, flat of.FlattenedContext) of.FloatResolutionDetail {
	return evaluated(ctx, flag, otherwise, flat, readFlag[float64], p.next.FloatEvaluation)
}

func (p *provider) IntEvaluation(ctx context.Context, flag string, otherwise int64, flat of.FlattenedContext) of.IntResolutionDetail {
	return evaluated(ctx, flag, otherwise, flat, readFlag[int64], p.next.IntEvaluation)
}

func (p *provider) ObjectEvaluation(ctx context.Context, flag string, otherwise any, flat of.FlattenedContext) of.InterfaceResolutionDetail {
	return evaluated(ctx, flag, otherwise, flat, readObject[any], p.next.ObjectEvaluation)
}

type evaluation[T any] func(context.Context, string, T, of.FlattenedContext) of.GenericResolutionDetail[T]

// evaluated returns the value in the request, or the other provider's if the request does not set the flag.
func evaluated[T any](
	ctx context.Context, flag string, otherwise T, flat of.FlattenedContext,
	read func(string) (T, *flagError), next evaluation[T],
) of.GenericResolutionDetail[T] {
	value, found, err := overridden(ctx, flag, read)
	if !found {
		return next(ctx, flag, otherwise, flat)
	}
	if err != nil {
		return of.GenericResolutionDetail[T]{Value: otherwise, ProviderResolutionDetail: err.detail()}
	}
	return of.GenericResolutionDetail[T]{
		Value: value,
		ProviderResolutionDetail: of.ProviderResolutionDetail{
			Reason:  of.TargetingMatchReason,
			Variant: overrideVariant,
		},
	}
}

func (e *flagError) detail() of.ProviderResolutionDetail {
	resolution := of.NewParseErrorResolutionError(e.Error())
	if e.mismatch {
		resolution = of.NewTypeMismatchResolutionError(e.Error())
	}
	return of.ProviderResolutionDetail{ResolutionError: resolution, Reason: of.ErrorReason}
}
