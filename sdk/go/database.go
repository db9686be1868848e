package detour

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Database returns the name of the database that a request chose for a service, out of those that the service's own
// configuration lists. Requests that choose none get the ordinary one. So do requests that choose a database that is
// not listed, which is logged once. Without a service, the one in OTEL_SERVICE_NAME is used.
func Database(ctx context.Context, service, ordinary string, others ...string) string {
	service = cmp.Or(service, serviceName())
	if service == "" {
		warnOnce("requests' databases are ignored, because this service does not know its name in the mesh; set OTEL_SERVICE_NAME")
	}
	key := keyOf(KindDB, service)
	name, ok := Current(ctx).value(key)
	if !ok || name == ordinary {
		return ordinary
	}
	if !slices.Contains(others, name) {
		report(problem{key + "=" + name, fmt.Errorf("expected one of %s %v", ordinary, others)})
		return ordinary
	}
	return name
}
