// A service that overrides enter, and that calls on. Its argument is how it serves: net/http, grpc-go, or amqp091,
// which is net/http with a queue behind it.
//
// PORT, GRPC_PORT, SINK_HTTP, SINK_GRPC, AMQP_URL, QUEUE and DETOUR_SDK are as the suite's driver says.
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

// A call calls on, by one client, with a request's number.
type call func(ctx context.Context, number string) error

func main() {
	log.SetFlags(0)
	setUp()
	clients, err := newClients()
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(serve(os.Args[1:], clients)) }()
	awaitEnd()
}

func serve(arguments []string, clients map[string]call) error {
	if len(arguments) != 1 {
		return fmt.Errorf("expected one argument: net/http, grpc-go, or amqp091")
	}
	switch arguments[0] {
	case "net/http":
		return serveHTTP(clients)
	case "grpc-go":
		return serveGRPC(clients)
	case "amqp091":
		publish, err := newQueue(clients["net-http"])
		if err != nil {
			return err
		}
		clients["amqp091"] = publish
		return serveHTTP(clients)
	}
	return fmt.Errorf("%s is no way of serving: expected net/http, grpc-go, or amqp091", arguments[0])
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
