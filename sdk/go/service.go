package detour

import (
	"net/url"
	"os"
	"strings"
)

// serviceName returns the service's name in the mesh, from where OpenTelemetry's SDKs find it, too (specification,
// "Resource SDK"); "" if it is not set.
func serviceName() string {
	if name := os.Getenv("OTEL_SERVICE_NAME"); name != "" {
		return name
	}
	for pair := range strings.SplitSeq(os.Getenv("OTEL_RESOURCE_ATTRIBUTES"), ",") {
		key, value, _ := strings.Cut(pair, "=")
		if strings.TrimSpace(key) == "service.name" {
			return unescaped(strings.TrimSpace(value))
		}
	}
	return ""
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
