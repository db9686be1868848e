package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
)

// Work that a handler starts and does not wait for continues after its request's context has been cancelled, so its
// calls fail. In a loop it would keep its request's overrides.

// A handler is a function with a request of net/http, and the variables that hold its context.
type handler struct {
	visitor
	request types.Object
	holders map[types.Object]bool
}

// checkHandler checks what a handler starts; body may be nil.
func (v visitor) checkHandler(function *ast.FuncType, body *ast.BlockStmt) {
	request := v.requestOf(function)
	if body == nil || request == nil || waits(body) {
		return
	}
	h := handler{v, request, map[types.Object]bool{}}
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncLit:
			return v.requestOf(node.Type) == nil // otherwise a handler of its own
		case *ast.AssignStmt:
			h.hold(node)
		case *ast.GoStmt:
			h.checkStarted(node.Call, "this goroutine")
		case *ast.CallExpr:
			if name := calledName(v.pass, node); name == "time.AfterFunc" || name == "context.AfterFunc" {
				h.checkStarted(&ast.CallExpr{Fun: node.Args[1], Args: nil}, name)
			} else if group := v.groupOf(node); group != "" {
				h.checkStarted(&ast.CallExpr{Fun: node.Args[0], Args: nil}, group)
			}
		}
		return true
	})
}

// groupOf returns the group that a call starts a goroutine in; "" if it does not.
func (v visitor) groupOf(call *ast.CallExpr) string {
	selector, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok || len(call.Args) != 1 || selector.Sel.Name != "Go" && selector.Sel.Name != "TryGo" {
		return ""
	}
	kind := v.pass.TypesInfo.TypeOf(selector.X)
	for _, group := range [][2]string{{"golang.org/x/sync/errgroup", "Group"}, {"sync", "WaitGroup"}} {
		if isPointerTo(kind, group[0], group[1]) || isNamed(kind, group[0], group[1]) {
			return "what " + path.Base(group[0]) + "." + group[1] + " starts"
		}
	}
	return ""
}

func (v visitor) requestOf(function *ast.FuncType) types.Object {
	for _, parameter := range function.Params.List {
		if len(parameter.Names) > 0 && isPointerTo(v.pass.TypesInfo.TypeOf(parameter.Type), "net/http", "Request") {
			return v.pass.TypesInfo.Defs[parameter.Names[0]]
		}
	}
	return nil
}

// waits returns whether a function waits for what it starts: for a group, or a channel.
func waits(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			return false // a goroutine only waits for itself
		case *ast.SelectStmt:
			found = true
		case *ast.UnaryExpr:
			found = found || node.Op == token.ARROW
		case *ast.SelectorExpr:
			found = found || node.Sel.Name == "Wait"
		}
		return !found
	})
	return found
}

// hold records a variable that is assigned the request's context, or one derived from it.
func (h handler) hold(assignment *ast.AssignStmt) {
	if len(assignment.Rhs) != 1 || !h.uses(assignment.Rhs[0]) {
		return
	}
	for _, given := range assignment.Lhs {
		name, ok := given.(*ast.Ident)
		if !ok || !isNamed(h.pass.TypesInfo.TypeOf(name), "context", "Context") {
			continue
		}
		if object := h.pass.TypesInfo.ObjectOf(name); object != nil {
			h.holders[object] = true
		}
	}
}

func (h handler) checkStarted(call *ast.CallExpr, what string) {
	if h.isAllowed(call.Fun) {
		return
	}
	context := h.context
	if h.uses(call) {
		h.pass.Reportf(call.Fun.Pos(), "%s runs on when the handler has returned, and the context is cancelled: give it context.WithoutCancel(%s), or detour.Detached of that if it is meant to outlive requests", what, context)
	} else if literal, ok := call.Fun.(*ast.FuncLit); ok && loops(literal.Body) && h.keeps(literal.Body) {
		h.pass.Reportf(call.Fun.Pos(), "%s is a loop that outlives the request, whose overrides it keeps for a time: give it detour.Detached(context.WithoutCancel(%s))", what, context)
	}
}

// uses returns whether code uses the request's own context, not one that is never cancelled.
func (h handler) uses(code ast.Node) bool {
	found := false
	ast.Inspect(code, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			if h.isFree(node) {
				return false
			}
			for _, argument := range node.Args {
				found = found || h.isRequest(argument)
			}
			selector, ok := node.Fun.(*ast.SelectorExpr)
			found = found || ok && selector.Sel.Name == "Context" && h.isRequest(selector.X)
		case *ast.Ident:
			found = found || h.holders[h.pass.TypesInfo.Uses[node]]
		}
		return !found
	})
	return found
}

// keeps returns whether code keeps the request's overrides.
func (h handler) keeps(code ast.Node) bool {
	found := false
	ast.Inspect(code, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if ok && calledName(h.pass, call) == "detour.dev/sdk/go.Detached" {
			return false
		}
		found = found || ok && calledName(h.pass, call) == "context.WithoutCancel"
		return !found
	})
	return found
}

// isFree returns whether a call creates a context that the request's end does not cancel.
func (h handler) isFree(call *ast.CallExpr) bool {
	return calledName(h.pass, call) == "context.WithoutCancel"
}

func (h handler) isRequest(expression ast.Expr) bool {
	name, ok := ast.Unparen(expression).(*ast.Ident)
	return ok && h.pass.TypesInfo.Uses[name] == h.request
}

// loops returns whether code runs without end: for {}, or over a channel's values.
func loops(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ForStmt:
			found = found || node.Cond == nil
		case *ast.RangeStmt:
			selector, ok := node.X.(*ast.SelectorExpr)
			found = found || ok && selector.Sel.Name == "C"
		}
		return !found
	})
	return found
}
