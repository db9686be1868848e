package detour

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/propagation"
)

// The x-ot-span-context header of OpenTracing's binary carrier, as Lightstep's tracers write it: standard base64 of
//
//	BinaryCarrier{BasicTracerCarrier basic_ctx = 2}
//	BasicTracerCarrier{fixed64 trace_id = 1; fixed64 span_id = 2; bool sampled = 3; map<string, string> baggage_items = 4}
//
// The baggage item "overrides" contains base64 of Overrides{map<string, string> entries = 1}, whose keys are those of
// the W3C header without the prefix.

const (
	basicContext = 2
	baggageItems = 4
	ownEntries   = 1
	ownItem      = "overrides"
)

// A spanContext is a header without its overrides: the trace and span ids and other items, unchanged. If its
// overrides are unreadable, it is the whole header, so that the services that they are for reject them.
type spanContext struct {
	outer, inner []field
	whole        string
}

type spanContextKey struct{}

// extractOpenTracing returns the overrides of a header, and a context that forwards the rest of it.
func extractOpenTracing(ctx context.Context, header string) (context.Context, parsed) {
	carried, own, err := parseOpenTracing(header)
	shows := err != nil && showsOverrides(header)
	var entries []entry
	if err == nil {
		entries, err = readOwnItem(own)
		shows = err != nil
	}
	if err == nil && len(header) > headerMax && own != "" {
		report(problem{openTracingHeader, fmt.Errorf("it has %d bytes, and sidecars read at most %d", len(header), headerMax)})
		shows = true
	}
	if err != nil {
		report(problem{openTracingHeader + ": " + header, err})
	}
	read := readEntries(entries)
	report(read.problems...)
	switch {
	case shows:
		carried = &spanContext{whole: header}
	case err != nil || len(header) > headerMax:
		return ctx, read
	}
	return context.WithValue(ctx, spanContextKey{}, carried), read
}

// injectOpenTracing writes the header with these overrides, if the request came with one.
func injectOpenTracing(ctx context.Context, carrier propagation.TextMapCarrier, overrides []Override) {
	carried, ok := ctx.Value(spanContextKey{}).(*spanContext)
	if !ok {
		return
	}
	header := carried.header(overrides)
	if len(header) > headerMax || len(overrides) > entriesMax {
		report(problem{openTracingHeader, fmt.Errorf("with the overrides it would exceed %d bytes or %d entries", headerMax, entriesMax)})
		header = carried.header(nil)
	}
	carrier.Set(openTracingHeader, header)
}

// showsOverrides returns whether an unreadable header contains the item with overrides.
func showsOverrides(header string) bool {
	message, err := unBase64(header)
	return err == nil && bytes.Contains(message, []byte("\n\toverrides"))
}

// parseOpenTracing splits a header into the part that is forwarded, and the item with overrides.
func parseOpenTracing(header string) (carried *spanContext, own string, err error) {
	outer, err := fieldsOf(header)
	if err != nil {
		return nil, "", err
	}
	carried = new(spanContext)
	own, err = carried.readItems(carried.readOuter(outer))
	return carried, own, err
}

// readOuter stores the fields of the outer message, and returns the inner one.
func (s *spanContext) readOuter(fields []field) (inner []byte) {
	for _, one := range fields {
		if one.is(basicContext) {
			inner = one.content
		} else {
			s.outer = append(s.outer, one)
		}
	}
	return inner
}

// readItems stores the fields of the inner message, and returns the item with overrides.
func (s *spanContext) readItems(inner []byte) (own string, err error) {
	fields, err := readFields(inner)
	for _, one := range fields {
		if one.is(baggageItems) {
			key, value, err := one.mapEntry()
			if err != nil {
				return "", err
			}
			if key == ownItem {
				own = value
				continue
			}
		}
		s.inner = append(s.inner, one)
	}
	return own, err
}

// readOwnItem returns entries that may be overrides; they are validated when they are read.
func readOwnItem(item string) ([]entry, error) {
	fields, err := fieldsOf(item)
	var entries []entry
	for _, one := range fields {
		if !one.is(ownEntries) {
			continue
		}
		key, value, err := one.mapEntry()
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{prefix + valid(key), valid(value), true})
	}
	return entries, err
}

// header encodes the span context again, with these overrides.
func (s *spanContext) header(overrides []Override) string {
	if s.whole != "" {
		return s.whole
	}
	inner := writeFields(s.inner...)
	if len(overrides) > 0 {
		var own []byte
		for _, one := range overrides {
			own = append(own, writeFields(mapField(ownEntries, strings.TrimPrefix(one.Key(), prefix), one.Value))...)
		}
		inner = append(inner, writeFields(mapField(baggageItems, ownItem, base64.StdEncoding.EncodeToString(own)))...)
	}
	message := append(writeFields(s.outer...), writeFields(field{basicContext, wireLength, inner})...)
	return base64.StdEncoding.EncodeToString(message)
}

// fieldsOf parses a message in standard base64.
func fieldsOf(text string) ([]field, error) {
	message, err := unBase64(text)
	if err != nil {
		return nil, err
	}
	return readFields(message)
}

// unBase64 decodes standard base64, padded or not; Go's own decoder also accepts line breaks.
func unBase64(text string) ([]byte, error) {
	message, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("it is not base64")
	}
	return message, nil
}
