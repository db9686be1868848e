package detour

// InFlight returns how many requests with a log level of their own are counted.
func InFlight() int64 { return flights.Load() }

// What tests see of this package beside.
var (
	AfterResponse = afterResponse
	Kinds         = kinds
	UnseenIn      = unseenIn
	WarnUnwrapped = warnUnwrapped
)
