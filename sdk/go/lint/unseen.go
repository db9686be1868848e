package lint

import (
	"go/ast"
	"go/types"
	"strings"
)

// Clients and servers without anything that reads or writes the header. Values in variables cannot be checked here,
// and are ignored.

const (
	httpHelp = "wrap its transport in detour.Transport or otelhttp.NewTransport"
	grpcPath = "google.golang.org/grpc"
)

// grpcWithout lists gRPC's functions, and what their options must include.
var grpcWithout = map[string]string{
	grpcPath + ".NewClient":   "grpc.WithStatsHandler(otelgrpc.NewClientHandler())",
	grpcPath + ".Dial":        "grpc.WithStatsHandler(otelgrpc.NewClientHandler())",
	grpcPath + ".DialContext": "grpc.WithStatsHandler(otelgrpc.NewClientHandler())",
	grpcPath + ".NewServer":   "grpc.StatsHandler(otelgrpc.NewServerHandler())",
}

// checkClient reports an http.Client whose transport is net/http's own.
func (v visitor) checkClient(literal *ast.CompositeLit) {
	if !isNamed(v.pass.TypesInfo.TypeOf(literal), "net/http", "Client") || v.isAllowed(literal) {
		return
	}
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return // without field names, all fields are set
		}
		if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Transport" && !v.isPlainTransport(pair.Value) {
			return
		}
	}
	v.pass.Reportf(literal.Pos(), "this http.Client carries no overrides: %s", httpHelp)
}

func (v visitor) isPlainTransport(value ast.Expr) bool {
	if v.isVariable(value, "net/http", "DefaultTransport") {
		return true
	}
	address, ok := ast.Unparen(value).(*ast.UnaryExpr)
	if !ok {
		return false
	}
	literal, ok := address.X.(*ast.CompositeLit)
	return ok && isNamed(v.pass.TypesInfo.TypeOf(literal), "net/http", "Transport")
}

// checkDefaultClient reports http.DefaultClient.
func (v visitor) checkDefaultClient(selector *ast.SelectorExpr) {
	if v.isVariable(selector, "net/http", "DefaultClient") && !v.isAllowed(selector) {
		v.pass.Reportf(selector.Pos(), "http.DefaultClient carries no overrides: make a client, and %s", httpHelp)
	}
}

func (v visitor) isVariable(expression ast.Expr, path, name string) bool {
	selector, ok := ast.Unparen(expression).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	found, ok := v.pass.TypesInfo.Uses[selector.Sel].(*types.Var)
	return ok && found.Pkg() != nil && found.Pkg().Path() == path && found.Name() == name
}

// checkGRPC reports clients and servers of gRPC without any instrumentation among their options.
func (v visitor) checkGRPC(call *ast.CallExpr) {
	name := calledName(v.pass, call)
	help, ok := grpcWithout[name]
	if !ok || call.Ellipsis.IsValid() || v.isAllowed(call) {
		return
	}
	for _, argument := range call.Args {
		option, ok := ast.Unparen(argument).(*ast.CallExpr)
		if isOption(v.pass.TypesInfo.TypeOf(argument)) && !ok || ok && carries(calledName(v.pass, option)) {
			return
		}
	}
	v.pass.Reportf(call.Pos(), "%s carries no overrides: add %s", name[strings.LastIndex(name, "/")+1:], help)
}

// isOption returns whether a type is one of gRPC's options.
func isOption(kind types.Type) bool {
	return isNamed(kind, grpcPath, "DialOption") || isNamed(kind, grpcPath, "ServerOption")
}

// carries returns whether an option may see each call: a stats handler, or an interceptor. Another package's option
// may be anything.
func carries(name string) bool {
	own := strings.HasPrefix(name, grpcPath+".")
	return !own || strings.Contains(name, "StatsHandler") || strings.Contains(name, "Interceptor")
}
