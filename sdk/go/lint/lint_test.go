package lint_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"detour.dev/sdk/go/lint"
)

func TestDroppedContextsAreFound(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), lint.Analyzer, "a", "b")
}
