package detour

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/baggage"
)

// Overrides are the overrides of one request: at most one for each kind and subject. The zero value is empty.
// They are immutable, so several goroutines may use them.
type Overrides struct {
	// The baggage is stored instead of parsed overrides: reading one is then a map lookup, and a request that reads none
	// does not parse any.
	bag baggage.Baggage
}

// Current returns the overrides of the request that ctx belongs to; they are empty without a request or overrides.
// Work that outlives its request by more than DETOUR_AFTER_RESPONSE has none.
func Current(ctx context.Context) Overrides {
	if ctx == nil {
		return Overrides{}
	}
	overrides := held(ctx)
	if overrides.bag.Len() > 0 && isOver(ctx) {
		if over := overrides.list(); len(over) > 0 {
			warnOver(over)
		}
		return Overrides{}
	}
	return overrides
}

// held returns the overrides in a context, even if they have ended.
func held(ctx context.Context) Overrides {
	return Overrides{baggage.FromContext(ctx)}
}

// With returns a context with these overrides and no others, for tests and scripts. Other baggage stays. They apply
// as long as ctx does, and a while longer.
func With(ctx context.Context, overrides Overrides) context.Context {
	made := replaced(ctx, parsed{overrides: slices.Collect(overrides.All())})
	if ctx.Done() == nil {
		return unscoped(made)
	}
	return scoped(ctx, unscoped(made), "")
}

// Parse reads the short notation of the command line: users=pr-42, delay.payments=300ms, config.new-checkout=on.
// Of two with one key the later one wins. The error says which word is not an override, and what was expected.
func Parse(words ...string) (Overrides, error) {
	var parsed Overrides
	for _, word := range words {
		override, err := parseWord(word)
		if err != nil {
			return Overrides{}, fmt.Errorf("detour: %q is not an override: %w", word, err)
		}
		parsed.bag = set(parsed.bag, override.Key(), override.Value)
	}
	return parsed, nil
}

func parseWord(word string) (Override, error) {
	key, value, found := strings.Cut(strings.TrimPrefix(word, prefix), "=")
	if !found {
		return Override{}, fmt.Errorf("expected SERVICE=DEPLOYMENT, such as users=pr-42")
	}
	kind, _, _ := strings.Cut(key, ".")
	if !slices.Contains(kinds, Kind(kind)) {
		return readEntry(keyOf(KindRoute, key), value)
	}
	override, err := readEntry(prefix+key, value)
	if err != nil && key == kind {
		err = fmt.Errorf("%w; for a service called %s: %s.%s=%s", err, key, KindRoute, key, value)
	}
	return override, err
}

// Value returns the value of an override, and whether the request carries it.
func (o Overrides) Value(kind Kind, subject string) (string, bool) {
	if o.bag.Len() == 0 {
		return "", false
	}
	return o.value(keyOf(kind, subject))
}

func (o Overrides) value(key string) (string, bool) {
	member := o.bag.Member(key)
	if member.Key() == "" {
		return "", false
	}
	override, err := readEntry(key, member.Value())
	if err != nil {
		report(problem{key + "=" + member.Value(), err})
		return "", false
	}
	return override.Value, true
}

// Route returns the deployment that calls to the service go to, and whether it is overridden.
func (o Overrides) Route(service string) (string, bool) {
	return o.Value(KindRoute, service)
}

// All yields every override, in the order of their keys.
func (o Overrides) All() iter.Seq[Override] {
	return slices.Values(o.list())
}

// String returns the overrides as a baggage header contains them.
func (o Overrides) String() string {
	header, _ := appendToBaggage("", parsed{overrides: o.list()})
	return header
}

func (o Overrides) list() []Override {
	return o.read().overrides
}

// read returns the overrides in the baggage, in the order of their keys, and the unreadable entries.
func (o Overrides) read() parsed {
	var entries []entry
	for _, member := range o.bag.Members() {
		if strings.HasPrefix(member.Key(), prefix) {
			entries = append(entries, entry{member.Key(), member.Value(), true})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	var read parsed
	for _, one := range entries {
		read.take(one)
	}
	return read
}

// replaced returns the context with these overrides instead of its own, however their keys are encoded.
func replaced(ctx context.Context, own parsed) context.Context {
	bag := baggage.FromContext(ctx)
	keys := own.keys()
	for _, member := range bag.Members() {
		if key := ownKey(member.Key()); key != "" && (key != member.Key() || !keys[key]) {
			bag = bag.DeleteMember(member.Key())
		}
	}
	bag = added(bag, own.overrides)
	for _, one := range own.unread {
		bag = set(bag, one.key, one.value)
	}
	return inFlight(baggage.ContextWithBaggage(ctx, bag), own.overrides)
}

// added returns the baggage with these overrides added. It copies only if some are missing, because OpenTelemetry's
// own propagator has usually read the same ones.
func added(bag baggage.Baggage, overrides []Override) baggage.Baggage {
	for _, one := range overrides {
		if there := bag.Member(one.Key()); there.Key() == "" || there.Value() != one.Value {
			bag = set(bag, one.Key(), one.Value)
		}
	}
	return bag
}

// set cannot fail: a baggage member may have any key and any value in UTF-8, and so does an override.
func set(bag baggage.Baggage, key, value string) baggage.Baggage {
	member, err := baggage.NewMemberRaw(key, value)
	if err != nil {
		return bag
	}
	after, _ := bag.SetMember(member)
	return after
}

// without returns the context without these overrides.
func without(ctx context.Context, own parsed) context.Context {
	bag := baggage.FromContext(ctx)
	if bag.Len() == len(own.overrides)+len(own.unread) {
		return baggage.ContextWithoutBaggage(ctx)
	}
	for _, one := range own.overrides {
		bag = bag.DeleteMember(one.Key())
	}
	for _, one := range own.unread {
		bag = bag.DeleteMember(one.key)
	}
	return baggage.ContextWithBaggage(ctx, bag)
}
