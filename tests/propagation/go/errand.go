package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	interleaving = 3 * time.Millisecond
	via          = " > "
)

// A call calls on, by one client, with a request's number.
type call func(ctx context.Context, number string) error

// A relay calls on as it is asked to.
type relay struct {
	clients map[string]call
	// send has the queue's handler do an errand; nil without a queue.
	send func(ctx context.Context, errand string) error
}

// request calls on for a request, after a moment in which others come between: by each of the clients, or
// "amqp091 > clients" by those behind the queue.
func (r *relay) request(ctx context.Context, clients, number string) error {
	time.Sleep(rand.N(interleaving))
	if producer, behind, ok := strings.Cut(clients, via); ok {
		if producer != "amqp091" || r.send == nil {
			return fmt.Errorf("%q is no queue here", producer)
		}
		return r.send(ctx, behind+"/"+number)
	}
	return r.errand(ctx, clients+"/"+number)
}

// errand calls on by each of an errand's clients, as "net-http,grpc-unary/17" says; of several each is told the
// number with its place behind it.
func (r *relay) errand(ctx context.Context, errand string) error {
	clients, number, _ := strings.Cut(errand, "/")
	names := strings.Split(clients, ",")
	for place, name := range names {
		call, ok := r.clients[name]
		if !ok {
			return fmt.Errorf("%q is no client here", name)
		}
		if err := call(ctx, ownNumber(number, place, len(names))); err != nil {
			return err
		}
	}
	return nil
}

// ownNumber is what one of several clients is told.
func ownNumber(number string, place, clients int) string {
	if clients == 1 {
		return number
	}
	return fmt.Sprintf("%s.%d", number, place)
}
