package detour

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

const (
	shownMax      = 80 // bytes of what is ignored
	toldAtOnceMax = 3
	rememberedMax = 1024
)

// A problem is something of a request that is ignored, and why.
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

var told = struct {
	sync.Mutex
	texts map[string]bool
}{texts: map[string]bool{}}

// tell logs what of a request is ignored: a client that is wrong is so in every request, and is told of once.
func tell(problems ...problem) {
	var fresh []string
	for _, one := range problems[:min(len(problems), toldAtOnceMax)] {
		if text := one.String(); isFresh(text) {
			fresh = append(fresh, text)
		}
	}
	if len(fresh) > 0 {
		warn("detour: of a request's overrides " + strings.Join(fresh, "; "))
	}
}

// tellOnce logs a text once.
func tellOnce(text string) {
	if isFresh(text) {
		warn("detour: " + text)
	}
}

// warn logs without the request's context: what is logged here must not ask for the request's level.
func warn(text string) {
	slog.Default().WarnContext(context.Background(), text)
}

func isFresh(text string) bool {
	told.Lock()
	defer told.Unlock()
	if told.texts[text] {
		return false
	}
	if len(told.texts) >= rememberedMax {
		clear(told.texts)
	}
	told.texts[text] = true
	return true
}
