package detour

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Flags per request: override.config.<flag>, whose text is converted to the type that the service requests, in all
// languages in the same way (sdk/vectors/flags.json).

const integerMax = 1<<53 - 1 // the largest integer that numbers of all languages can represent

var (
	integer = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)$`)
	decimal = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)
)

// A flagError reports that a flag's text is not a value of the requested type.
type flagError struct {
	expected string
	mismatch bool // the text is a value, but of another type (OpenFeature's TYPE_MISMATCH, not PARSE_ERROR)
}

func (e *flagError) Error() string {
	return "expected " + e.expected
}

var (
	errBool    = &flagError{expected: "true, on, 1, false, off or 0"}
	errInteger = &flagError{expected: "an integer of at most 2^53 - 1, such as 42"}
	errFloat   = &flagError{expected: "a number, such as 0.25"}
	errJSON    = &flagError{expected: "a JSON object or array"}
	errNoJSON  = &flagError{expected: "a JSON object or array", mismatch: true}
	errFields  = &flagError{expected: "a JSON object or array with other fields", mismatch: true}
)

// Flag returns the value of a flag in the request, or the default, which determines the type. A text that is not a
// value of that type is ignored, and logged once.
//
//	if detour.Flag(ctx, "new-checkout", false) {
func Flag[T bool | string | int | int64 | float64](ctx context.Context, name string, otherwise T) T {
	value, found, err := overridden(ctx, name, readFlag[T])
	if !found || err != nil {
		return otherwise
	}
	return value
}

// FlagObject is [Flag] for JSON objects and arrays, which encoding/json decodes into a T: a struct, a map, a slice.
func FlagObject[T any](ctx context.Context, name string, otherwise T) T {
	value, found, err := overridden(ctx, name, readObject[T])
	if !found || err != nil {
		return otherwise
	}
	return value
}

// overridden returns the value of a flag in the request, and whether the request sets it.
func overridden[T any](ctx context.Context, name string, read func(string) (T, *flagError)) (value T, found bool, err *flagError) {
	text, found := Current(ctx).Value(KindConfig, name)
	if !found {
		return value, false, nil
	}
	if value, err = read(text); err != nil {
		report(problem{keyOf(KindConfig, name) + "=" + text, err})
	}
	return value, true, err
}

func readFlag[T bool | string | int | int64 | float64](text string) (value T, err *flagError) {
	switch to := any(&value).(type) {
	case *bool:
		*to, err = readBool(text)
	case *string:
		*to = text
	case *int:
		number, fault := readInteger(text)
		*to, err = int(number), fault
	case *int64:
		*to, err = readInteger(text)
	case *float64:
		*to, err = readFloat(text)
	}
	return value, err
}

func readBool(text string) (bool, *flagError) {
	switch strings.ToLower(text) {
	case "true", "on", "1":
		return true, nil
	case "false", "off", "0":
		return false, nil
	}
	return false, errBool
}

func readInteger(text string) (int64, *flagError) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !integer.MatchString(text) || number < -integerMax || number > integerMax {
		return 0, errInteger
	}
	return number, nil
}

func readFloat(text string) (float64, *flagError) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !decimal.MatchString(text) || math.IsInf(number, 0) {
		return 0, errFloat
	}
	return number, nil
}

func readObject[T any](text string) (value T, fault *flagError) {
	err := json.Unmarshal([]byte(text), &value)
	var mismatch *json.UnmarshalTypeError
	switch {
	case err != nil && !errors.As(err, &mismatch):
		return value, errJSON
	case !strings.ContainsAny(strings.TrimLeft(text, " \t\r\n")[:1], "{["):
		return value, errNoJSON
	case err != nil:
		return value, errFields
	}
	return value, nil
}
