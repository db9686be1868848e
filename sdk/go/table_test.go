package detour_test

import (
	"context"
	"testing"

	detour "detour.dev/sdk/go"
)

func TestOverridesTravelInAMessagesHeaders(t *testing.T) {
	type header map[string]any // as amqp.Table is
	sent := header(detour.InjectTable(detour.With(context.Background(), parsed(t, "users=pr-42")), nil))
	if got := detour.Current(detour.ExtractTable(context.Background(), sent)).String(); got != "override.route.users=pr-42" {
		t.Errorf("%s, sent %v", got, sent)
	}
}

func TestOtherHeadersOfAMessageStay(t *testing.T) {
	headers := map[string]any{"retries": int32(3), "baggage": "team=a"}
	got := detour.InjectTable(detour.With(context.Background(), parsed(t, "users=pr-42")), headers)
	if got["retries"] != int32(3) || got["baggage"] != "team=a,override.route.users=pr-42" {
		t.Error(got)
	}
}

func TestHeadersMayBeBytesAndMayBeNone(t *testing.T) {
	for expected, headers := range map[string]map[string]any{
		"override.route.users=pr-42": {"baggage": []byte("override.route.users=pr-42")},
		"":                           {"baggage": 7, "x-ot-span-context": nil},
	} {
		if got := detour.Current(detour.ExtractTable(context.Background(), headers)).String(); got != expected {
			t.Errorf("%v: %q", headers, got)
		}
	}
	if got := detour.Current(detour.ExtractTable(context.Background(), nil)).String(); got != "" {
		t.Error(got)
	}
}
