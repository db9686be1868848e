package detour

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

const (
	shownMax          = 80 // maximum number of bytes shown of what is ignored
	reportedAtOnceMax = 3
	rememberedMax     = 1024
)

// A problem is a part of a request that is ignored, and the reason.
type problem struct {
	what string
	why  error
}

func (p problem) String() string {
	if len(p.what) > shownMax {
		p.what = p.what[:shownMax] + "..."
	}
	return fmt.Sprintf("%q is ignored: %v", p.what, p.why)
}

var reported = struct {
	sync.Mutex
	texts map[string]bool
}{texts: map[string]bool{}}

// report logs what is ignored in a request, each problem once: a faulty client sends it in every request.
func report(problems ...problem) {
	var fresh []string
	for _, one := range problems[:min(len(problems), reportedAtOnceMax)] {
		if text := one.String(); isFresh(text) {
			fresh = append(fresh, text)
		}
	}
	if len(fresh) > 0 {
		warn("detour: of a request's overrides " + strings.Join(fresh, "; "))
	}
}

// warnOnce logs a text once.
func warnOnce(text string) {
	if isFresh(text) {
		warn("detour: " + text)
	}
}

// warn logs without the request's context: these lines must not depend on the request's log level.
func warn(text string) {
	slog.Default().WarnContext(context.Background(), text)
}

func isFresh(text string) bool {
	reported.Lock()
	defer reported.Unlock()
	if reported.texts[text] {
		return false
	}
	if len(reported.texts) >= rememberedMax {
		clear(reported.texts)
	}
	reported.texts[text] = true
	return true
}
