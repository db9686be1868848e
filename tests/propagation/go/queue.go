package main

import (
	"context"
	"fmt"
	"log"
	"os"

	amqp "github.com/rabbitmq/amqp091-go"

	detour "detour.dev/sdk/go"
)

const atOnce = 64

// addQueue consumes the queue, does the errand of each message, and adds the client that sends one, whose errand is
// to call on by net/http. OpenTelemetry has no instrumentation of amqp091, so with it alone nobody writes headers or
// reads them.
func (r *relay) addQueue() error {
	connection, err := amqp.Dial(os.Getenv("AMQP_URL"))
	if err != nil {
		return fmt.Errorf("AMQP_URL: %w", err)
	}
	queue := os.Getenv("QUEUE")
	deliveries, err := consumed(connection, queue)
	if err != nil {
		return err
	}
	r.send, err = publisher(connection, queue)
	if err != nil {
		return err
	}
	r.clients["amqp091"] = func(ctx context.Context, number string) error { return r.send(ctx, "net-http/"+number) }
	go func() {
		for delivery := range deliveries {
			go r.handle(delivery)
		}
		log.Fatal("RabbitMQ has closed the connection")
	}()
	return nil
}

func consumed(connection *amqp.Connection, queue string) (<-chan amqp.Delivery, error) {
	channel, err := connection.Channel()
	if err != nil {
		return nil, err
	}
	if _, err := channel.QueueDeclare(queue, false, true, false, false, nil); err != nil {
		return nil, err
	}
	if err := channel.Qos(atOnce, 0, false); err != nil {
		return nil, err
	}
	return channel.Consume(queue, "", false, false, false, false, nil)
}

func (r *relay) handle(delivery amqp.Delivery) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if hasSDK() {
		ctx = detour.ExtractTable(ctx, delivery.Headers)
	}
	if err := r.errand(ctx, string(delivery.Body)); err != nil {
		log.Print(err)
	}
	if err := delivery.Ack(false); err != nil {
		log.Print(err)
	}
}

// publisher returns what sends an errand, and waits until the broker has it.
func publisher(connection *amqp.Connection, queue string) (func(context.Context, string) error, error) {
	channel, err := connection.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	return func(ctx context.Context, errand string) error {
		message := amqp.Publishing{Body: []byte(errand)}
		if hasSDK() {
			message.Headers = detour.InjectTable(ctx, nil)
		}
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, message)
		if err != nil {
			return err
		}
		confirmed, err := confirmation.WaitContext(ctx)
		if err == nil && !confirmed {
			return fmt.Errorf("RabbitMQ has refused %s", errand)
		}
		return err
	}, nil
}
