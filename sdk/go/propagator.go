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

// Install has OpenTelemetry's global propagator carry overrides: it puts one in front that reads and writes them by
// itself, and has what was configured do the rest. Where nothing was, that is W3C trace context and baggage.
//
// Call it behind otel.SetTextMapPropagator, and before instrumentations are made: most keep the propagator that they
// find. Calling it again does nothing more. Libraries of this program through which overrides get lost are logged.
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
	tellUnseen()
}

// NewPropagator returns what [Install] installs, for those who hand a propagator to each instrumentation. It carries
// overrides, and has others carry all else. What a carrier holds makes it neither fail nor write a header of over
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

// Extract reads what a carrier holds. Overrides in its baggage count over those in x-ot-span-context.
func (p *propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	header, openTracing := lines(carrier, baggageHeader), carrier.Get(openTracingHeader)
	read := read(p.others.Extract(ctx, carrier), header, openTracing)
	if header == "" && openTracing == "" || held(read).read().isEmpty() {
		return read
	}
	return scoped(ctx, read, header)
}

// read returns the context with the overrides that two headers hold.
func read(ctx context.Context, header, openTracing string) context.Context {
	var own parsed
	if openTracing != "" {
		ctx, own = extractOpenTracing(ctx, openTracing)
	}
	if header == "" {
		return with(ctx, own)
	}
	inBaggage := parseBaggage(header)
	tell(inBaggage.problems...)
	// Other propagators decode in ways of their own: what they made of overrides is replaced.
	return replaced(ctx, inBaggage.over(own))
}

// Inject writes what a context holds; overrides come behind other people's baggage.
func (p *propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	own := held(ctx).read()
	if own.isEmpty() {
		p.others.Inject(ctx, carrier)
	} else {
		p.others.Inject(without(ctx, own), carrier)
	}
	if !own.isEmpty() && isOver(ctx) {
		tellOver(own.overrides)
		own = parsed{}
	}
	if !own.isEmpty() {
		header, problems := appendToBaggage(lines(carrier, baggageHeader), own)
		tell(problems...)
		carrier.Set(baggageHeader, header)
	}
	injectOpenTracing(ctx, carrier, own.overrides)
}

// with returns the context with these overrides beside its own.
func with(ctx context.Context, own parsed) context.Context {
	if own.isEmpty() {
		return ctx
	}
	return replaced(ctx, own.over(Current(ctx).read()))
}

// lines returns a header whose lines count as one, if the carrier shows more than the first.
func lines(carrier propagation.TextMapCarrier, key string) string {
	if every, ok := carrier.(propagation.ValuesGetter); ok {
		return strings.Join(every.Values(key), ",")
	}
	return carrier.Get(key)
}
