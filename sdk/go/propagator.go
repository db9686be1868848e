package detour

import (
	"context"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

const (
	baggageHeader     = "baggage"
	openTracingHeader = "x-ot-span-context"
)

var installing sync.Mutex

// Install makes OpenTelemetry's global propagator carry overrides: it inserts a propagator in front that reads and
// writes them itself, and delegates the rest to the configured one; by default that is W3C trace context and baggage.
//
// Call it after otel.SetTextMapPropagator, and before instrumentations are created: most keep the propagator that
// they find. Further calls have no effect. Libraries of this program that lose overrides are logged.
func Install() {
	installing.Lock()
	defer installing.Unlock()
	configured := otel.GetTextMapPropagator()
	if _, ok := configured.(*propagator); ok {
		return
	}
	if len(configured.Fields()) == 0 {
		configured = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	}
	otel.SetTextMapPropagator(NewPropagator(configured))
	warnUnseen()
}

// NewPropagator returns what [Install] installs, for services that pass a propagator to each instrumentation. It
// carries overrides and delegates everything else to others. No carrier makes it fail or write a header of more than
// 8192 bytes.
func NewPropagator(others propagation.TextMapPropagator) propagation.TextMapPropagator {
	return &propagator{others}
}

type propagator struct {
	others propagation.TextMapPropagator
}

// Fields returns the headers that may be written.
func (p *propagator) Fields() []string {
	fields := append(slices.Clone(p.others.Fields()), baggageHeader, openTracingHeader)
	slices.Sort(fields)
	return slices.Compact(fields)
}

// Extract reads a carrier. Overrides in its baggage take precedence over those in x-ot-span-context.
func (p *propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	header, openTracing := lines(carrier, baggageHeader), carrier.Get(openTracingHeader)
	read := read(p.others.Extract(ctx, carrier), header, openTracing)
	if header == "" && openTracing == "" || held(read).read().isEmpty() {
		return read
	}
	return scoped(ctx, read, header)
}

// read returns the context with the overrides of two headers.
func read(ctx context.Context, header, openTracing string) context.Context {
	var own parsed
	if openTracing != "" {
		ctx, own = extractOpenTracing(ctx, openTracing)
	}
	if header == "" {
		return with(ctx, own)
	}
	inBaggage := parseBaggage(header)
	report(inBaggage.problems...)
	// Other propagators decode differently, so their results for overrides are replaced.
	return replaced(ctx, inBaggage.over(own))
}

// Inject writes the content of a context; overrides follow other baggage.
func (p *propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	own := held(ctx).read()
	if own.isEmpty() {
		p.others.Inject(ctx, carrier)
	} else {
		p.others.Inject(without(ctx, own), carrier)
	}
	if !own.isEmpty() && isOver(ctx) {
		warnOver(own.overrides)
		own = parsed{}
	}
	if !own.isEmpty() {
		header, problems := appendToBaggage(lines(carrier, baggageHeader), own)
		report(problems...)
		carrier.Set(baggageHeader, header)
	}
	injectOpenTracing(ctx, carrier, own.overrides)
}

// with returns the context with these overrides in addition to its own.
func with(ctx context.Context, own parsed) context.Context {
	if own.isEmpty() {
		return ctx
	}
	return replaced(ctx, own.over(Current(ctx).read()))
}

// lines returns a header with all its lines joined, if the carrier provides more than the first.
func lines(carrier propagation.TextMapCarrier, key string) string {
	if every, ok := carrier.(propagation.ValuesGetter); ok {
		return strings.Join(every.Values(key), ",")
	}
	return carrier.Get(key)
}
