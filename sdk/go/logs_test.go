package detour_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	detour "detour.dev/sdk/go"
)

func loggerAt(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	var log bytes.Buffer
	handler := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})
	return slog.New(detour.NewHandler(handler, "rides")), &log
}

func asking(level string) context.Context {
	return extracted(http.Header{"Baggage": {"override.log.rides=" + level}})
}

func TestARequestIsLoggedAtItsOwnLevel(t *testing.T) {
	logger, log := loggerAt(slog.LevelWarn)
	logger.DebugContext(asking("debug"), "asked")
	logger.DebugContext(context.Background(), "not asked")
	logger.DebugContext(extracted(http.Header{"Baggage": {"override.log.users=debug"}}), "asked of another service")
	logger.DebugContext(asking("info"), "asked for less")
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=asked") {
		t.Error(got)
	}
}

func TestLoggersThatAreMadeOfOneDoTheSame(t *testing.T) {
	logger, log := loggerAt(slog.LevelWarn)
	logger.With("a", 1).WithGroup("g").InfoContext(asking("info"), "asked", "b", 2)
	if got := log.String(); !strings.Contains(got, "a=1 g.b=2") {
		t.Error(got)
	}
}

func TestLevelsMayBeWrittenInEachLanguagesWay(t *testing.T) {
	for text, level := range map[string]slog.Level{
		"debug": slog.LevelDebug, "DEBUG": slog.LevelDebug, "Info": slog.LevelInfo, "warn": slog.LevelWarn,
		"warning": slog.LevelWarn, "error": slog.LevelError, "trace": slog.LevelDebug - 4, "debug-2": slog.LevelDebug - 2,
	} {
		logger, _ := loggerAt(slog.LevelError + 4)
		if !logger.Enabled(asking(text), level) || logger.Enabled(asking(text), level-1) {
			t.Errorf("%s is not %v", text, level)
		}
	}
}

func TestALevelNeverSilencesAService(t *testing.T) {
	logger, log := loggerAt(slog.LevelInfo)
	logger.InfoContext(asking("error"), "still here")
	if log.Len() == 0 {
		t.Error("a header silenced the service")
	}
}

func TestAnUnknownLevelIsIgnoredWithOneWarning(t *testing.T) {
	logger, log := loggerAt(slog.LevelWarn)
	warnings := logged(t, func() {
		for range 3 {
			logger.DebugContext(asking("verbose-as-can-be"), "asked")
		}
	})
	if log.Len() > 0 || strings.Count(warnings, "verbose-as-can-be") != 1 {
		t.Errorf("log %q, warnings %q", log, warnings)
	}
}

func TestAnUnknownLevelIsToldOfThroughTheSameHandler(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(detour.NewHandler(slog.NewTextHandler(&log, nil), "rides")))
	defer slog.SetDefault(before)
	slog.DebugContext(asking("loud"), "asked")
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "loud") {
		t.Error(got)
	}
}

func TestTheServiceIsTheOneThatTheEnvironmentNames(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_SERVICE_NAME":        "rides",
		"OTEL_RESOURCE_ATTRIBUTES": "team=a, service.name=ride%73",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			handler := detour.NewHandler(slog.DiscardHandler, "")
			if !handler.Enabled(asking("debug"), slog.LevelDebug) {
				t.Error("the request's level is ignored")
			}
		})
	}
}

func TestAServiceWithoutANameIsToldSo(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "")
	warnings := logged(t, func() { detour.NewHandler(slog.DiscardHandler, "") })
	if !strings.Contains(warnings, "OTEL_SERVICE_NAME") {
		t.Error(warnings)
	}
}

func TestARequestCountsAsLongAsAnybodyHoldsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(asking("debug"))
	cancel()
	detached := context.WithoutCancel(ctx)
	runtime.GC()
	logger, _ := loggerAt(slog.LevelWarn)
	if !logger.Enabled(detached, slog.LevelDebug) {
		t.Error("the request's level no longer applies")
	}
}

func TestRequestsThatEndedAreNotCounted(t *testing.T) {
	for range 100 {
		asking("debug")
	}
	awaitNoneInFlight(t)
}

func awaitNoneInFlight(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for detour.InFlight() > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are still counted", detour.InFlight())
		}
		runtime.GC()
		runtime.Gosched()
	}
}
