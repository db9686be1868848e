// Package lint finds where a service drops its request's context, and with it the overrides that the request carries.
//
// Goroutines have no context of their own in Go. A function cannot pass on what it does not receive, and no library
// can correct that at run time. So [Analyzer] finds it in the source.
package lint

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer reports calls that start with a new context although the request's context is available:
// context.Background and context.TODO, and net/http's functions without a context, in a function with a parameter of
// type context.Context or *http.Request, including its goroutines and closures. It reports code that a handler starts
// with the request's context and does not wait for, because that context is then cancelled; and clients and servers
// that carry nothing: http.DefaultClient, an http.Client on net/http's own transport, gRPC without otelgrpc. Tests
// and generated files are ignored.
//
// Mark work that belongs to no request, on the call's line or the one above: //detour:detached and a reason.
var Analyzer = &analysis.Analyzer{
	Name: "detour",
	Doc:  "find where a request's context, and with it its overrides, is dropped",
	URL:  "https://pkg.go.dev/detour.dev/sdk/go/lint",
	Run:  run,
}

const detached = "//detour:detached"

// Methods of http.Client have the same names as the functions.
var withoutContext = map[string]string{
	"net/http.Get":        "http.NewRequestWithContext",
	"net/http.Head":       "http.NewRequestWithContext",
	"net/http.Post":       "http.NewRequestWithContext",
	"net/http.PostForm":   "http.NewRequestWithContext",
	"net/http.NewRequest": "http.NewRequestWithContext",
}

func run(pass *analysis.Pass) (any, error) {
	for _, file := range pass.Files {
		name := pass.Fset.Position(file.FileStart).Filename
		if !ast.IsGenerated(file) && !strings.HasSuffix(name, "_test.go") {
			ast.Walk(visitor{pass, detachedLines(pass, file), ""}, file)
		}
	}
	return nil, nil
}

// A visitor has the lines of a file that may start with a new context, and the expression that returns the current
// context; "" if there is none.
type visitor struct {
	pass    *analysis.Pass
	allowed map[int]bool
	context string
}

func (v visitor) Visit(node ast.Node) ast.Visitor {
	switch node := node.(type) {
	case *ast.FuncDecl:
		v.context = contextOf(v.pass, node.Type)
		v.checkHandler(node.Type, node.Body)
	case *ast.FuncLit:
		if own := contextOf(v.pass, node.Type); own != "" {
			v.context = own
		}
		v.checkHandler(node.Type, node.Body)
	case *ast.CallExpr:
		if v.context != "" {
			v.check(node)
		}
		v.checkGRPC(node)
	case *ast.CompositeLit:
		v.checkClient(node)
	case *ast.SelectorExpr:
		v.checkDefaultClient(node)
	}
	return v
}

func (v visitor) check(call *ast.CallExpr) {
	name := calledName(v.pass, call)
	if name == "" || v.isAllowed(call) {
		return
	}
	short := name[strings.LastIndex(name, "/")+1:]
	if instead, ok := withoutContext[name]; ok {
		v.pass.Reportf(call.Pos(), "%s drops the request's overrides: call %s(%s, ...)", short, instead, v.context)
	} else if name == "context.Background" || name == "context.TODO" {
		v.pass.Reportf(call.Pos(), "%s drops the request's overrides: pass %s on, or context.WithoutCancel(%[2]s) to what outlives the request", short, v.context)
	}
}

// isAllowed returns whether a comment on the line, or the one above, marks the work as detached.
func (v visitor) isAllowed(node ast.Node) bool {
	line := v.pass.Fset.Position(node.Pos()).Line
	return v.allowed[line] || v.allowed[line-1]
}

// calledName returns path and name of the called function: net/http.Get, also for http.Client's method.
func calledName(pass *analysis.Pass, call *ast.CallExpr) string {
	selector, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	called, ok := pass.TypesInfo.Uses[selector.Sel].(*types.Func)
	if !ok || called.Pkg() == nil {
		return ""
	}
	if receiver := called.Signature().Recv(); receiver != nil && !isPointerTo(receiver.Type(), "net/http", "Client") {
		return ""
	}
	return called.Pkg().Path() + "." + called.Name()
}

// contextOf returns the expression for the context in a function of this type; "" if there is none.
func contextOf(pass *analysis.Pass, function *ast.FuncType) string {
	for _, parameter := range function.Params.List {
		kind := pass.TypesInfo.TypeOf(parameter.Type)
		switch {
		case isNamed(kind, "context", "Context"):
			return nameOf(parameter, "ctx")
		case isPointerTo(kind, "net/http", "Request"):
			return fmt.Sprintf("%s.Context()", nameOf(parameter, "r"))
		}
	}
	return ""
}

// nameOf returns a parameter's name, or a suggestion if it has none.
func nameOf(parameter *ast.Field, otherwise string) string {
	at := slices.IndexFunc(parameter.Names, func(name *ast.Ident) bool { return name.Name != "_" })
	if at < 0 {
		return otherwise
	}
	return parameter.Names[at].Name
}

func isPointerTo(kind types.Type, path, name string) bool {
	pointer, ok := types.Unalias(kind).(*types.Pointer)
	return ok && isNamed(pointer.Elem(), path, name)
}

func isNamed(kind types.Type, path, name string) bool {
	named, ok := types.Unalias(kind).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return false
	}
	return named.Obj().Pkg().Path() == path && named.Obj().Name() == name
}

// detachedLines returns the lines of a file with the comment that permits a new context, and a reason.
func detachedLines(pass *analysis.Pass, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if reason, ok := strings.CutPrefix(comment.Text, detached+" "); ok && strings.TrimSpace(reason) != "" {
				lines[pass.Fset.Position(comment.Pos()).Line] = true
			}
		}
	}
	return lines
}
