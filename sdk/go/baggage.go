package detour

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The W3C baggage header, https://www.w3.org/TR/baggage/ section 3.3. A member is key=value, followed by properties
// after semicolons. Keys and values may be percent-encoded, more than once if propagators do that. Of duplicates the
// last one wins.

const (
	space          = " \t"
	decodingRounds = 3
	flagPrefix     = prefix + string(KindConfig) + "."
)

var (
	errNoValue = errors.New("expected = and a value")
	errTooMany = fmt.Errorf("sidecars read at most %d overrides of one request", entriesMax)
	errTooLong = fmt.Errorf("the baggage would exceed %d bytes", headerMax)
)

// An entry is a header's entry that is, or looks like, an override.
type entry struct {
	key, value string
	hasValue   bool
}

// A parsed is the content of headers: overrides in the order in which their keys first occurred, and unreadable
// entries. These are forwarded, too: the services that they are for reject them, so they never vanish.
type parsed struct {
	overrides []Override
	unread    []entry
	problems  []problem
}

// parseBaggage reads the overrides of a header. Services read them even if the header is too long for sidecars.
func parseBaggage(header string) parsed {
	var entries []entry
	for member := range strings.SplitSeq(header, ",") {
		if one, own := parseMember(member); own {
			entries = append(entries, one)
		}
	}
	read := readEntries(entries)
	if len(entries) > 0 && len(header) > headerMax {
		why := fmt.Errorf("it has %d bytes, and sidecars read at most %d", len(header), headerMax)
		read.problems = append(read.problems, problem{header, why})
	}
	return read
}

func readEntries(entries []entry) parsed {
	last := make(map[string]int, len(entries))
	for i, one := range entries {
		last[one.key] = i
	}
	var read parsed
	for i, one := range entries {
		if last[one.key] == i {
			read.take(one)
		}
	}
	if len(entries) > entriesMax {
		read.problems = append(read.problems, problem{entries[entriesMax].key, errTooMany})
	}
	return read
}

func (p *parsed) take(one entry) {
	override, err := one.read()
	if err == nil {
		p.overrides = append(p.overrides, override)
		return
	}
	p.problems = append(p.problems, problem{one.key + "=" + one.value, err})
	// Without a value, the next reader would take a flag for an empty one.
	if one.hasValue || !strings.HasPrefix(one.key, flagPrefix) {
		p.unread = append(p.unread, one)
	}
}

// over returns the union; of two entries with one key this one's wins, readable or not.
func (p parsed) over(others parsed) parsed {
	both := parsed{overrides: slices.Clone(p.overrides), unread: slices.Clone(p.unread)}
	keys := p.keys()
	for _, one := range others.overrides {
		if !keys[one.Key()] {
			both.overrides = append(both.overrides, one)
		}
	}
	for _, one := range others.unread {
		if !keys[one.key] {
			both.unread = append(both.unread, one)
		}
	}
	return both
}

func (p parsed) keys() map[string]bool {
	keys := make(map[string]bool, len(p.overrides)+len(p.unread))
	for _, one := range p.overrides {
		keys[one.Key()] = true
	}
	for _, one := range p.unread {
		keys[one.key] = true
	}
	return keys
}

func (p parsed) isEmpty() bool {
	return len(p.overrides) == 0 && len(p.unread) == 0
}

func (e entry) read() (Override, error) {
	if !e.hasValue {
		return Override{}, errNoValue
	}
	return readEntry(e.key, e.value)
}

// parseMember reads a member, and returns whether it is an override. A flag's value, which may be any text, is
// decoded once.
func parseMember(member string) (one entry, own bool) {
	pair, _, _ := strings.Cut(member, ";")
	key, value, found := strings.Cut(pair, "=")
	if key = ownKey(key); key == "" {
		return entry{}, false
	}
	rounds := decodingRounds
	if strings.HasPrefix(key, flagPrefix) {
		rounds = 1
	}
	return entry{key, valid(decoded(strings.Trim(value, space), rounds)), found}, true
}

// ownKey returns the decoded key of an override, or "" if the key is not an override's. Characters around it are
// ignored, because another reader may ignore them, too.
func ownKey(key string) string {
	if !strings.Contains(key, prefix) && !strings.Contains(key, "%") {
		return ""
	}
	bytes := decoded(key, decodingRounds)
	start, end := 0, len(bytes)
	for start < end && !isNameByte(bytes[start]) {
		start++
	}
	for start < end && !isNameByte(bytes[end-1]) {
		end--
	}
	if !strings.HasPrefix(bytes[start:end], prefix) {
		return ""
	}
	return valid(bytes[start:end])
}

// appendToBaggage returns a header with overrides appended. Other members stay as they are, byte for byte; an
// override with the same key is replaced. If the header would be too long, the last other members are dropped; the
// problems name them. Overrides are never dropped: if they alone are too long, the next sidecar refuses the request.
func appendToBaggage(header string, own parsed) (string, []problem) {
	var problems []problem
	members := own.members()
	length := joinedLength(members)
	kept := others(header, own)
	for length += joinedLength(kept) + 1; len(kept) > 0 && length > headerMax; {
		last := kept[len(kept)-1]
		problems = append(problems, problem{last, errTooLong})
		length -= len(last) + 1
		kept = kept[:len(kept)-1]
	}
	return strings.Join(append(kept, members...), ","), problems
}

func (p parsed) members() []string {
	var members []string
	for _, one := range p.overrides {
		members = append(members, one.Key()+"="+one.encoded())
	}
	for _, one := range p.unread {
		members = append(members, percentEncoded(one.key)+"="+percentEncoded(one.value))
	}
	return members
}

// others returns the non-empty members of a header that have other keys.
func others(header string, own parsed) []string {
	var kept []string
	keys := own.keys()
	for member := range strings.SplitSeq(header, ",") {
		one, _ := parseMember(member)
		if strings.Trim(member, space) != "" && !keys[one.key] {
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

// encoded returns the value as a header contains it: a flag's is percent-encoded, all others are unchanged.
func (o Override) encoded() string {
	if o.Kind != KindConfig {
		return o.Value
	}
	return percentEncoded(o.Value)
}

// percentEncoded encodes all characters that RFC 3986 section 2.3 does not call unreserved.
func percentEncoded(text string) string {
	var encoded strings.Builder
	for i := range len(text) {
		if c := text[i]; isAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 {
			encoded.WriteByte(c)
		} else {
			fmt.Fprintf(&encoded, "%%%02X", c)
		}
	}
	return encoded.String()
}

// decoded undoes percent-encoding; invalid escapes stay. (url.PathUnescape would refuse the whole text.)
func decoded(text string, rounds int) string {
	for range rounds {
		if !strings.Contains(text, "%") {
			return text
		}
		text = decodedOnce(text)
	}
	return text
}

func decodedOnce(text string) string {
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

// valid returns a text with U+FFFD in place of bytes that are not valid UTF-8 (W3C Baggage, section 3.3.1.3): one for
// each truncated sequence, as in other languages, not one for each byte.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var made strings.Builder
	for len(text) > 0 {
		letter, size := utf8.DecodeRuneInString(text)
		if letter == utf8.RuneError && size == 1 {
			for size < len(text) && !utf8.FullRuneInString(text[:size]) && !isInvalid(text[:size+1]) {
				size++
			}
		}
		made.WriteRune(letter)
		text = text[size:]
	}
	return made.String()
}

// isInvalid returns whether these bytes cannot start a character.
func isInvalid(text string) bool {
	letter, size := utf8.DecodeRuneInString(text)
	return utf8.FullRuneInString(text) && letter == utf8.RuneError && size == 1
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
