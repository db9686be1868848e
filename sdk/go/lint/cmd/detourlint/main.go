// Detourlint reports where a service drops its request's context: detourlint ./...
// It also works with go vet: go vet -vettool=$(which detourlint) ./...
package main

import (
	"golang.org/x/tools/go/analysis/singlechecker"

	"detour.dev/sdk/go/lint"
)

func main() { singlechecker.Main(lint.Analyzer) }
