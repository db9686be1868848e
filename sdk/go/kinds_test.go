package detour_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

// A kindVector is one row of the table of kinds, which all languages share.
type kindVector struct {
	Kind      detour.Kind
	Key       string
	Subject   string
	AppliedBy string `json:"applied_by"`
	Expected  string
	Accepted  []string
	Refused   []string
}

func (v kindVector) override(value string) detour.Override {
	if v.Subject == "" {
		return detour.Override{Kind: v.Kind, Value: value}
	}
	return detour.Override{Kind: v.Kind, Subject: "users", Value: value}
}

func (v kindVector) word(value string) string {
	return v.override(value).Key() + "=" + value
}

// honoured says, for each kind that services apply, whether this SDK does: a kind of the table that is missing here fails.
var honoured = map[detour.Kind]func(t *testing.T) bool{
	detour.KindConfig: func(t *testing.T) bool {
		return detour.Flag(requesting(t, "config.colour=blue"), "colour", "green") == "blue"
	},
	detour.KindLog: func(t *testing.T) bool {
		logger := slog.New(detour.NewHandler(slog.NewTextHandler(io.Discard, nil), "users"))
		return logger.Enabled(requesting(t, "log.users=debug"), slog.LevelDebug)
	},
	detour.KindDB: func(t *testing.T) bool {
		return detour.Database(requesting(t, "db.users=copy"), "users", "main", "copy") == "copy"
	},
}

func requesting(t *testing.T, word string) context.Context {
	return extracted(http.Header{"Baggage": {parsed(t, word).String()}})
}

func TestItHasTheKindsOfTheTable(t *testing.T) {
	var expected []detour.Kind
	for _, vector := range vectors[kindVector](t, "kinds.json") {
		expected = append(expected, vector.Kind)
	}
	if !slices.Equal(detour.Kinds, expected) {
		t.Errorf("%v, expected %v", detour.Kinds, expected)
	}
}

func TestKindsAreReadAsInEveryLanguage(t *testing.T) {
	for _, vector := range vectors[kindVector](t, "kinds.json") {
		t.Run(string(vector.Kind), func(t *testing.T) {
			for _, value := range vector.Accepted {
				read, err := detour.Parse(vector.word(value))
				if err != nil {
					t.Errorf("%q: %v", value, err)
				}
				header := propagation.HeaderCarrier(http.Header{})
				detour.NewPropagator(w3c()).Inject(detour.With(context.Background(), read), header)
				ctx := extracted(http.Header(header))
				one := vector.override(value)
				if got := byKey(detour.Current(ctx)); len(got) != 1 || got[one.Key()] != value {
					t.Errorf("%q is sent as %q and read as %v", value, header.Get("baggage"), got)
				}
			}
			for _, value := range vector.Refused {
				if _, err := detour.Parse(vector.word(value)); err == nil || !strings.Contains(err.Error(), vector.Expected) {
					t.Errorf("%q: %v\nexpected %s", value, err, vector.Expected)
				}
			}
		})
	}
}

func TestKindsOfServicesAreHonoured(t *testing.T) {
	for _, vector := range vectors[kindVector](t, "kinds.json") {
		if vector.AppliedBy != "service" {
			continue
		}
		if takesEffect := honoured[vector.Kind]; takesEffect == nil || !takesEffect(t) {
			t.Errorf("%s takes no effect", vector.Key)
		}
	}
}
