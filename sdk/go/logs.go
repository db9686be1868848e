package detour

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
)

const (
	levelTrace = slog.LevelDebug - 4
	levelNone  = slog.Level(math.MaxInt) // the request permits no additional log calls
)

var errLevel = errors.New("expected one of trace, debug, info, warn, error")

// NewHandler returns a handler that logs what another one does and, for a request with override.log.<service>, also
// what that level permits. The request's context is the one that the log call receives. An override only lowers the
// threshold: otherwise a header could silence a service and hide its sender. Without a service, the one in
// OTEL_SERVICE_NAME is used.
//
// The other handler must filter records in Enabled only, as slog's own do. If it passes records to several others,
// wrap each of those.
func NewHandler(next slog.Handler, service string) slog.Handler {
	name := cmp.Or(service, serviceName())
	if name == "" {
		warnOnce("requests' log levels are ignored, because this service does not know its name in the mesh; set OTEL_SERVICE_NAME")
	}
	return &handler{next, keyOf(KindLog, name)}
}

type handler struct {
	next slog.Handler
	key  string
}

// Enabled reads the request's level only while a request with a level of its own is in flight: see flights.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level) || flights.Load() > 0 && level >= h.asked(ctx)
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	return h.next.Handle(ctx, record)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.next.WithAttrs(attrs), h.key}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.next.WithGroup(name), h.key}
}

func (h *handler) asked(ctx context.Context) slog.Level {
	text, ok := Current(ctx).value(h.key)
	if !ok {
		return levelNone
	}
	level, ok := readLevel(text)
	if !ok {
		report(problem{h.key + "=" + text, errLevel})
		return levelNone
	}
	return level
}

// readLevel reads a level's name in any case, slog's own notation for levels in between (debug-2), and the names that
// loggers of other languages use.
func readLevel(text string) (level slog.Level, ok bool) {
	switch strings.ToLower(text) {
	case "trace":
		return levelTrace, true
	case "warning":
		return slog.LevelWarn, true
	}
	err := level.UnmarshalText([]byte(text))
	return level, err == nil
}
