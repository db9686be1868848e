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
	levelNone  = slog.Level(math.MaxInt) // nothing is logged because of the request
)

var errLevel = errors.New("expected one of trace, debug, info, warn, error")

// NewHandler returns a handler that logs what another one does, and for a request with override.log.<service> what
// that level allows, too: the request's context is the one that the log call is given. It only ever lowers the
// threshold, because a header that could silence a service would hide its sender. Without a service it is the one
// that OTEL_SERVICE_NAME says.
//
// The other handler must keep records back in Enabled alone, as slog's own do; of one that hands records to several
// others, wrap each of those.
func NewHandler(next slog.Handler, service string) slog.Handler {
	name := cmp.Or(service, serviceName())
	if name == "" {
		tellOnce("requests' log levels are ignored: this service does not know what the mesh calls it; set OTEL_SERVICE_NAME")
	}
	return &handler{next, keyOf(KindLog, name)}
}

type handler struct {
	next slog.Handler
	key  string
}

// Enabled asks the request only while there is one that has a level of its own: see flights.
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
		tell(problem{h.key + "=" + text, errLevel})
		return levelNone
	}
	return level
}

// readLevel reads a level's name in any case, slog's own way of writing those between (debug-2), and what other
// languages' loggers call theirs.
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
