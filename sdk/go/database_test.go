package detour_test

import (
	"context"
	"strings"
	"testing"

	detour "detour.dev/sdk/go"
)

func TestARequestChoosesAmongTheServicesDatabases(t *testing.T) {
	ctx := detour.With(context.Background(), parsed(t, "db.rides=copy"))
	if got := detour.Database(ctx, "rides", "main", "copy"); got != "copy" {
		t.Error(got)
	}
	if got := detour.Database(ctx, "users", "main", "copy"); got != "main" {
		t.Error(got)
	}
	if got := detour.Database(context.Background(), "rides", "main", "copy"); got != "main" {
		t.Error(got)
	}
}

func TestAnotherDatabaseIsRefusedAndTold(t *testing.T) {
	ctx := detour.With(context.Background(), parsed(t, "db.rides=payroll"))
	log := logged(t, func() {
		if got := detour.Database(ctx, "rides", "main", "copy"); got != "main" {
			t.Error(got)
		}
	})
	if !strings.Contains(log, "payroll") {
		t.Error(log)
	}
}

func TestAServiceThatNobodyNamesIsTold(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "")
	ctx := detour.With(context.Background(), parsed(t, "db.rides=copy"))
	log := logged(t, func() {
		if got := detour.Database(ctx, "", "main", "copy"); got != "main" {
			t.Error(got)
		}
	})
	if !strings.Contains(log, "OTEL_SERVICE_NAME") {
		t.Error(log)
	}
}
