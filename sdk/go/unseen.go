package detour

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Libraries that this package does not cover, reported once when the service starts: overrides get lost there, and a
// test would pass on the baseline. A program contains the list of its modules.

const (
	contrib  = "go.opentelemetry.io/contrib/instrumentation/"
	otelhttp = contrib + "net/http/otelhttp"
	otelgrpc = contrib + "google.golang.org/grpc/otelgrpc"

	// startup is how long a service has to wrap its handlers and transports.
	startup = 10 * time.Second
)

// httpInstrumentations instrument net/http's servers.
var httpInstrumentations = []string{otelhttp, contrib + "github.com/gin-gonic/gin/otelgin", contrib + "github.com/gorilla/mux/otelmux",
	contrib + "github.com/labstack/echo/otelecho", contrib + "github.com/emicklei/go-restful/otelrestful", "github.com/riandyrn/otelchi", "connectrpc.com/otelconnect"}

// An unseen library loses overrides unless one of these modules is present, too.
type unseen struct {
	library string
	carried []string
}

var libraries = []unseen{
	{"google.golang.org/grpc", []string{otelgrpc}},
	{"connectrpc.com/connect", []string{"connectrpc.com/otelconnect", otelhttp}},
	{"github.com/valyala/fasthttp", nil},
	{"github.com/IBM/sarama", []string{"github.com/dnwe/otelsarama"}},
	{"github.com/Shopify/sarama", []string{"github.com/dnwe/otelsarama"}},
	{"github.com/twmb/franz-go", []string{"github.com/twmb/franz-go/plugin/kotel"}},
	{"github.com/segmentio/kafka-go", nil},
	{"github.com/confluentinc/confluent-kafka-go", nil},
	{"github.com/rabbitmq/amqp091-go", nil},
	{"github.com/nats-io/nats.go", nil},
	{"github.com/hibiken/asynq", nil},
	{"github.com/aws/aws-sdk-go-v2/service/sqs", []string{contrib + "github.com/aws/aws-sdk-go-v2/otelaws"}},
}

// warnUnseen checks the running program. Handlers and transports may be wrapped after Install, so net/http is checked
// later.
func warnUnseen() {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	modules := modulesOf(info)
	for _, text := range unseenIn(modules) {
		warnOnce(text)
	}
	if !anyOf(httpInstrumentations, modules) {
		time.AfterFunc(startup, func() { warnUnwrapped(wrapsHTTP.Load()) })
	}
}

func warnUnwrapped(wraps bool) {
	if !wraps {
		warnOnce("overrides are lost in net/http: wrap handlers in detour.Handler and transports in detour.Transport, or go get " + otelhttp)
	}
}

func modulesOf(info *debug.BuildInfo) []string {
	var modules []string
	for _, one := range info.Deps {
		modules = append(modules, one.Path)
	}
	return modules
}

// unseenIn returns what a program with these modules loses.
func unseenIn(modules []string) []string {
	var texts []string
	for _, one := range libraries {
		if !anyOf([]string{one.library}, modules) || anyOf(one.carried, modules) {
			continue
		}
		help := "carry overrides only by detour.InjectTable and detour.ExtractTable, or a carrier of your own"
		if len(one.carried) > 0 {
			help = "carry overrides only by an instrumentation: go get " + one.carried[0]
		}
		texts = append(texts, fmt.Sprintf("calls and messages of %s %s", one.library, help))
	}
	return texts
}

// anyOf returns whether a program has one of these modules, in any major version.
func anyOf(wanted, modules []string) bool {
	return slices.ContainsFunc(wanted, func(path string) bool {
		return slices.ContainsFunc(modules, func(module string) bool {
			rest, found := strings.CutPrefix(module, path)
			return found && (rest == "" || strings.HasPrefix(rest, "/v"))
		})
	})
}
