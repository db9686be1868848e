package detour

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The W3C baggage header, https://www.w3.org/TR/baggage/ section 3.3. A member is key=value with properties behind
// semicolons; keys are compared literally, and of duplicates the last one that can be read counts.

const space = " \t"

var (
	errNoValue = errors.New("expected = and a value")
	errTooMany = fmt.Errorf("at most %d overrides are possible in one request", entriesMax)
	errTooLong = fmt.Errorf("the baggage would have over %d bytes", headerMax)
)

// An entry is one of a header's that is an override's, or would be one.
type entry struct {
	key, value string
	hasValue   bool
}

// parseBaggage reads the overrides of a header, in the order in which their keys first came.
func parseBaggage(header string) ([]Override, []problem) {
	if len(header) > headerMax {
		return nil, []problem{{header, fmt.Errorf("it has %d bytes, at most %d are read", len(header), headerMax)}}
	}
	var entries []entry
	for member := range strings.SplitSeq(header, ",") {
		if one := parseMember(member); strings.HasPrefix(one.key, prefix) {
			entries = append(entries, one)
		}
	}
	return readEntries(entries)
}

func readEntries(entries []entry) ([]Override, []problem) {
	var overrides []Override
	var problems []problem
	if len(entries) > entriesMax {
		problems = append(problems, problem{entries[entriesMax].key, errTooMany})
		entries = entries[:entriesMax]
	}
	for _, one := range entries {
		override, err := one.read()
		if err != nil {
			problems = append(problems, problem{one.key + "=" + one.value, err})
			continue
		}
		overrides = merged(overrides, override)
	}
	return overrides, problems
}

func (e entry) read() (Override, error) {
	if !e.hasValue {
		return Override{}, errNoValue
	}
	return readEntry(e.key, e.value)
}

// merged returns the overrides with others on top: of two with one key the later one counts.
func merged(overrides []Override, others ...Override) []Override {
	for _, one := range others {
		same := func(other Override) bool { return other.Kind == one.Kind && other.Subject == one.Subject }
		if at := slices.IndexFunc(overrides, same); at >= 0 {
			overrides[at] = one
		} else {
			overrides = append(overrides, one)
		}
	}
	return overrides
}

// parseMember reads a member; of a flag, whose value may be any text, it decodes that.
func parseMember(member string) entry {
	pair, _, _ := strings.Cut(member, ";")
	key, value, found := strings.Cut(pair, "=")
	one := entry{strings.Trim(key, space), strings.Trim(value, space), found}
	if strings.HasPrefix(one.key, prefix+string(KindConfig)+".") {
		one.value = decoded(one.value)
	}
	return one
}

// appendToBaggage returns a header with the overrides behind what is there. Other people's members stay as they are,
// byte for byte; an override of the same key is replaced. Where the header would be too long, other people's last
// members are left out first, then the last overrides; the problems say which.
func appendToBaggage(header string, overrides []Override) (string, []problem) {
	own, problems := bounded(overrides)
	length := joinedLength(own)
	kept := others(header, overrides)
	for length += joinedLength(kept) + 1; len(kept) > 0 && length > headerMax; {
		last := kept[len(kept)-1]
		problems = append(problems, problem{last, errTooLong})
		length -= len(last) + 1
		kept = kept[:len(kept)-1]
	}
	return strings.Join(append(kept, own...), ","), problems
}

// bounded returns the members of as many of the overrides as one header may have, the first ones first.
func bounded(overrides []Override) ([]string, []problem) {
	var members []string
	length := -1
	for _, one := range overrides {
		member := one.Key() + "=" + one.encoded()
		length += len(member) + 1
		if len(members) == entriesMax {
			return members, []problem{{member, errTooMany}}
		}
		if length > headerMax {
			return members, []problem{{member, errTooLong}}
		}
		members = append(members, member)
	}
	return members, nil
}

// others returns the members of a header but these overrides' and empty ones.
func others(header string, overrides []Override) []string {
	var kept []string
	for member := range strings.SplitSeq(header, ",") {
		key := parseMember(member).key
		replaced := slices.ContainsFunc(overrides, func(one Override) bool { return one.Key() == key })
		if strings.Trim(member, space) != "" && !replaced {
			kept = append(kept, member)
		}
	}
	return kept
}

func joinedLength(members []string) int {
	length := max(0, len(members)-1)
	for _, one := range members {
		length += len(one)
	}
	return length
}

// encoded returns the value as a header has it: a flag's is percent-encoded but for what RFC 3986 section 2.3 calls
// unreserved, all others are written as they are.
func (o Override) encoded() string {
	if o.Kind != KindConfig {
		return o.Value
	}
	var encoded strings.Builder
	for i := range len(o.Value) {
		if c := o.Value[i]; isAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 {
			encoded.WriteByte(c)
		} else {
			fmt.Fprintf(&encoded, "%%%02X", c)
		}
	}
	return encoded.String()
}

// decoded undoes percent-encoding; what only looks like it stays. (url.PathUnescape would refuse all of it.)
func decoded(text string) string {
	var decoded strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
			decoded.WriteByte(nibble(text[i+1])<<4 | nibble(text[i+2]))
			i += 2
		} else {
			decoded.WriteByte(text[i])
		}
	}
	return decoded.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
