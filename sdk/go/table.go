package detour

import (
	"context"
	"maps"
	"slices"

	"go.opentelemetry.io/otel"
)

// InjectTable writes the content of a context into the headers of a message, such as an amqp.Table, using
// OpenTelemetry's global propagator. It returns the headers, and creates them if they are nil.
//
//	channel.PublishWithContext(ctx, "", queue, false, false, amqp.Publishing{
//		Headers: detour.InjectTable(ctx, nil),
//		Body:    body,
//	})
func InjectTable(ctx context.Context, headers map[string]any) map[string]any {
	if headers == nil {
		headers = map[string]any{}
	}
	otel.GetTextMapPropagator().Inject(ctx, table(headers))
	return headers
}

// ExtractTable returns a context with the content of a message's headers, without any other request's overrides. Call
// it for each message, with a context of the message's own, and handle the message with the returned context:
//
//	ctx, cancel := context.WithCancel(consumer)
//	defer cancel()
//	handle(detour.ExtractTable(ctx, message.Headers), message)
//
// The message's overrides apply until that context is cancelled and a while longer; with a context that is never
// cancelled, such as context.Background(), for that while from now.
func ExtractTable(ctx context.Context, headers map[string]any) context.Context {
	return otel.GetTextMapPropagator().Extract(Detached(ctx), table(headers))
}

// A table is a carrier: headers with values of any type.
type table map[string]any

// Get returns a header, or "" if it is not a text. Producers in other languages write texts as bytes.
func (t table) Get(key string) string {
	switch value := t[key].(type) {
	case string:
		return value
	case []byte:
		return string(value)
	default:
		return ""
	}
}

// Set writes a header.
func (t table) Set(key, value string) {
	t[key] = value
}

// Keys returns the headers' names.
func (t table) Keys() []string {
	return slices.Collect(maps.Keys(t))
}
