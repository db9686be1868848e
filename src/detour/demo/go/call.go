package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

const timeout = 10 * time.Second

// answer is an instance's report about itself, and the calls that it made; detour.demo.call_tree documents the format.
type answer struct {
	Service    string `json:"service"`
	Instance   string `json:"instance"`
	Deployment string `json:"deployment"`
	Calls      []call `json:"calls"`
}

// call is the result of one call, as its caller saw it.
type call struct {
	To         string  `json:"to"`
	Status     string  `json:"status"`
	ServedBy   string  `json:"served_by"`
	DurationMS float64 `json:"duration_ms"`
	Error      string  `json:"error"`
	Answer     *answer `json:"answer"`
}

// caller calls the service `to` at an address.
type caller struct{ to, address string }

var client = http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport), Timeout: timeout}

// call calls the service once; failures are part of the result.
func (c caller) call(ctx context.Context) call {
	start := time.Now()
	made := c.ask(ctx)
	made.To = c.to
	made.DurationMS = math.Round(time.Since(start).Seconds()*10_000) / 10
	return made
}

func (c caller) ask(ctx context.Context) call {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address, nil)
	if err != nil {
		return unreachable(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return unreachable(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return unreachable(err)
	}
	made := call{Status: strconv.Itoa(response.StatusCode), ServedBy: response.Header.Get("x-detour-served-by")}
	if response.StatusCode != http.StatusOK {
		made.Error = strings.TrimSpace(string(body))
	} else if err := json.Unmarshal(body, &made.Answer); err != nil {
		made.Error = err.Error()
	}
	return made
}

func unreachable(err error) call { return call{Status: "unreachable", Error: err.Error()} }
