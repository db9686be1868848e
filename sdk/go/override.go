package detour

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Kind is a kind of override.
type Kind string

// The kinds, each with the meaning of its value.
const (
	KindRoute   Kind = "route"   // the deployment that calls to the service go to
	KindDelay   Kind = "delay"   // the delay before calls to the service are forwarded: 300ms, 1.5s
	KindAbort   Kind = "abort"   // the HTTP status or gRPC code that calls to the service fail with
	KindConfig  Kind = "config"  // the value of a flag, any text in UTF-8
	KindLog     Kind = "log"     // the log level that the service uses for this request
	KindDB      Kind = "db"      // the name of the database that the service uses
	KindMissing Kind = "missing" // baseline, to let it answer where a deployment is missing; has no subject
)

const (
	prefix     = "override."
	headerMax  = 8192 // maximum size of a header in bytes; OpenTelemetry drops longer ones
	entriesMax = 64   // maximum number of entries of one header that are read
	nameMax    = 63
	delayMaxMS = 60_000
	baseline   = "baseline"
)

var (
	kinds = []Kind{KindRoute, KindDelay, KindAbort, KindConfig, KindLog, KindDB, KindMissing}

	// The valid values of each kind. A test compares them with ../vectors/kinds.json.
	rules = map[Kind]rule{
		KindRoute:   {isName, errName},
		KindDelay:   {isDelay, errDelay},
		KindAbort:   {isStatus, errStatus},
		KindConfig:  {utf8.ValidString, errText},
		KindLog:     {isName, errName},
		KindDB:      {isName, errName},
		KindMissing: {isBaseline, errMissing},
	}

	delay = regexp.MustCompile(`^(?:([0-9]{1,5})ms|([0-9]{1,2}(?:\.[0-9]+)?)s)$`)
	abort = regexp.MustCompile(`^[0-9]{1,3}$`)

	errMissing = fmt.Errorf("expected %smissing=%s", prefix, baseline)
	errName    = errors.New("expected letters, digits, dot, dash or underscore, at most 63, the first a letter or digit")
	errText    = errors.New("expected text in UTF-8, percent-encoded")
	errDelay   = errors.New("expected a delay such as 300ms or 1.5s, at most 60s")
	errStatus  = errors.New("expected an HTTP status from 200 to 599 or a gRPC code from 0 to 16")
)

// A rule defines the valid values of a kind, and their description in errors.
type rule struct {
	accepts  func(value string) bool
	expected error
}

// An Override is one instruction that a request carries.
type Override struct {
	Kind    Kind
	Subject string // the service or flag that it refers to; "" for KindMissing
	Value   string
}

// Key returns the override's key in the baggage: override.route.users, override.missing.
func (o Override) Key() string {
	return keyOf(o.Kind, o.Subject)
}

func keyOf(kind Kind, subject string) string {
	if subject == "" {
		return prefix + string(kind)
	}
	return prefix + string(kind) + "." + subject
}

// readEntry reads one entry of the baggage, whose key starts with the prefix.
// The error says what was expected.
func readEntry(key, value string) (Override, error) {
	name, subject, dotted := strings.Cut(strings.TrimPrefix(key, prefix), ".")
	override := Override{Kind(name), subject, value}
	switch {
	case !slices.Contains(kinds, override.Kind):
		return Override{}, fmt.Errorf("expected %s and one of %v", prefix, kinds)
	case override.Kind == KindMissing && dotted:
		return Override{}, errMissing
	}
	return override, override.fault()
}

// fault returns what is wrong with the override, or nil.
func (o Override) fault() error {
	rule := rules[o.Kind]
	switch {
	case o.Kind == KindMissing && o.Subject != "":
		return errMissing
	case o.Kind != KindMissing && !isName(o.Subject):
		return fmt.Errorf("expected a name behind %s%s.", prefix, o.Kind)
	case !rule.accepts(o.Value):
		return rule.expected
	}
	return nil
}

func isBaseline(text string) bool {
	return text == baseline
}

func isName(text string) bool {
	if text == "" || len(text) > nameMax || !isAlphanumeric(text[0]) {
		return false
	}
	for i := range len(text) {
		if !isNameByte(text[i]) {
			return false
		}
	}
	return true
}

func isNameByte(c byte) bool {
	return isAlphanumeric(c) || c == '.' || c == '_' || c == '-'
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func isDelay(text string) bool {
	found := delay.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	milliseconds, seconds := number(found[1]), number(found[2])
	return milliseconds+1000*seconds <= delayMaxMS
}

func isStatus(text string) bool {
	status := number(text)
	return abort.MatchString(text) && (status <= 16 || 200 <= status && status < 600)
}

// number parses digits that a regular expression has validated; an empty text is 0.
func number(digits string) float64 {
	value, _ := strconv.ParseFloat(digits, 64)
	return value
}
