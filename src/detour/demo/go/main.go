// One instance of a demo service, as a process of its own: what detour.demo.instance is in Python.
//
//	service --service maps --name maps-1 --port 8080 --call users=http://users/me
//
// It serves HTTP on loopback, makes the calls that its arguments name through its sidecar (http_proxy), and returns the
// call tree. One line, detour.Install, and OpenTelemetry's instrumentation propagate the baggage.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	detour "detour.dev/sdk/go"
)

// calls are the services to call, in the order of the arguments.
type calls []caller

// String implements flag.Value.
func (c *calls) String() string { return "" }

// Set parses SERVICE=ADDRESS.
func (c *calls) Set(text string) error {
	to, address, _ := strings.Cut(text, "=")
	*c = append(*c, caller{to, address})
	return nil
}

func main() {
	var own answer
	var all calls
	flag.StringVar(&own.Service, "service", "", "the service of this instance")
	flag.StringVar(&own.Instance, "name", "", "the instance's name, unique in the mesh")
	flag.StringVar(&own.Deployment, "deployment", "", "the offloaded deployment of the instance")
	flag.String("speaks", "http", "the protocol it serves")
	port := flag.String("port", "", "the port to listen on, on loopback")
	flag.Var(&all, "call", "a service to call, as SERVICE=ADDRESS; repeatable")
	flag.Parse()

	detour.Install()
	tree := func(w http.ResponseWriter, r *http.Request) {
		result := own
		result.Calls = all.make(r.Context())
		w.Header().Set("content-type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(result); err != nil {
			log.Print(err)
		}
	}
	handler := otelhttp.NewHandler(http.HandlerFunc(tree), own.Service)
	log.Fatal(http.ListenAndServe(net.JoinHostPort("127.0.0.1", *port), handler))
}

// make makes all calls concurrently, and returns their results in order.
func (c calls) make(ctx context.Context) []call {
	made := make([]call, len(c))
	var pending sync.WaitGroup
	for index, one := range c {
		pending.Add(1)
		go func() {
			defer pending.Done()
			made[index] = one.call(ctx)
		}()
	}
	pending.Wait()
	return made
}
