package detour

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Database returns the name of the database that a request chose for a service, among those that the service's own
// configuration lists. The ordinary one is for requests that choose none, and for those that name one that is not
// listed: that is refused, and logged once. Without a service it is the one that OTEL_SERVICE_NAME says.
func Database(ctx context.Context, service, ordinary string, others ...string) string {
	service = cmp.Or(service, serviceName())
	if service == "" {
		tellOnce("requests' databases are ignored: this service does not know what the mesh calls it; set OTEL_SERVICE_NAME")
	}
	key := keyOf(KindDB, service)
	name, ok := Current(ctx).value(key)
	if !ok || name == ordinary {
		return ordinary
	}
	if !slices.Contains(others, name) {
		tell(problem{key + "=" + name, fmt.Errorf("expected one of %s %v", ordinary, others)})
		return ordinary
	}
	return name
}
