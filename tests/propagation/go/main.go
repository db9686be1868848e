// A service that overrides enter, and that calls on. Its argument is how it serves: net/http or grpc-go. With
// AMQP_URL there is a queue, too, whose handler is this service again. With "dial TARGET WORDS" it makes one call by
// gRPC through a sidecar.
//
// TRACED is empty where net/http is not traced; PORT, GRPC_PORT, SINK_HTTP, SINK_GRPC, AMQP_URL, QUEUE and DETOUR_SDK are as the suite's driver says.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)
	setUp()
	if len(os.Args) > 2 && os.Args[1] == "dial" {
		if err := dial(os.Args[2], os.Args[3:]...); err != nil {
			log.Fatal(err)
		}
		return
	}
	clients, err := newClients()
	if err != nil {
		log.Fatal(err)
	}
	relay := &relay{clients: clients}
	if os.Getenv("AMQP_URL") != "" {
		if err := relay.addQueue(); err != nil {
			log.Fatal(err)
		}
	}
	go func() { log.Fatal(serve(os.Args[1:], relay)) }()
	awaitEnd()
}

func serve(arguments []string, relay *relay) error {
	if len(arguments) != 1 {
		return fmt.Errorf("expected one argument: net/http or grpc-go")
	}
	switch arguments[0] {
	case "net/http":
		return serveHTTP(relay)
	case "grpc-go":
		return serveGRPC(relay)
	}
	return fmt.Errorf("%s is no way of serving: expected net/http or grpc-go", arguments[0])
}

// awaitEnd returns when the process is told to end, or whoever started it is gone.
func awaitEnd() {
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	<-signals.Done()
}
