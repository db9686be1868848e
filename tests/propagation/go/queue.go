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

// newQueue consumes the queue, and calls on for each message; it returns what sends one, and waits until the broker
// has it. OpenTelemetry has no instrumentation of amqp091, so with it alone nobody writes headers or reads them.
func newQueue(callOn call) (call, error) {
	connection, err := amqp.Dial(os.Getenv("AMQP_URL"))
	if err != nil {
		return nil, fmt.Errorf("AMQP_URL: %w", err)
	}
	queue := os.Getenv("QUEUE")
	deliveries, err := consumed(connection, queue)
	if err != nil {
		return nil, err
	}
	go func() {
		for delivery := range deliveries {
			go handle(delivery, callOn)
		}
		log.Fatal("RabbitMQ has closed the connection")
	}()
	return publisher(connection, queue)
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

func handle(delivery amqp.Delivery, callOn call) {
	ctx := context.Background()
	if hasSDK() {
		ctx = detour.ExtractTable(ctx, delivery.Headers)
	}
	if err := callOn(ctx, string(delivery.Body)); err != nil {
		log.Print(err)
	}
	if err := delivery.Ack(false); err != nil {
		log.Print(err)
	}
}

func publisher(connection *amqp.Connection, queue string) (call, error) {
	channel, err := connection.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	return func(ctx context.Context, number string) error {
		message := amqp.Publishing{Body: []byte(number)}
		if hasSDK() {
			message.Headers = detour.InjectTable(ctx, nil)
		}
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, message)
		if err != nil {
			return err
		}
		confirmed, err := confirmation.WaitContext(ctx)
		if err == nil && !confirmed {
			return fmt.Errorf("RabbitMQ has refused message %s", number)
		}
		return err
	}, nil
}
