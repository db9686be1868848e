package detour

import (
	"encoding/binary"
	"errors"
)

// The subset of protobuf's wire format that OpenTracing's carrier needs (protobuf.dev, "Encoding"), so that this
// package does not depend on a protobuf library.

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireLength  = 2
	wireFixed32 = 5

	varintMax = 5 // maximum size of a tag or a length: they fit in 32 bits
)

var errWire = errors.New("it is not a protobuf message")

// A field of a message: its number, wire type, and content, excluding the length of a length-delimited one.
type field struct {
	number  uint64
	kind    byte
	content []byte
}

func (f field) is(number uint64) bool {
	return f.number == number && f.kind == wireLength
}

// readFields parses a message into its fields, including unknown ones.
func readFields(message []byte) ([]field, error) {
	var fields []field
	for len(message) > 0 {
		tag, size := binary.Uvarint(message)
		if size <= 0 || size > varintMax || tag>>3 == 0 {
			return nil, errWire
		}
		content, rest, ok := cutContent(byte(tag&7), message[size:])
		if !ok {
			return nil, errWire
		}
		fields = append(fields, field{tag >> 3, byte(tag & 7), content})
		message = rest
	}
	return fields, nil
}

// cutContent splits a message after the field content at its start.
func cutContent(kind byte, message []byte) (content, rest []byte, ok bool) {
	start, size := contentExtent(kind, message)
	if start < 0 || size > uint64(len(message)-start) {
		return nil, nil, false
	}
	return message[start:][:size], message[start:][size:], true
}

// contentExtent returns where a field's content starts, and its size; the start is -1 if the content is invalid.
func contentExtent(kind byte, message []byte) (start int, size uint64) {
	number, n := binary.Uvarint(message)
	switch {
	case kind == wireFixed64:
		return 0, 8
	case kind == wireFixed32:
		return 0, 4
	case kind == wireVarint && n != 0 && n >= -binary.MaxVarintLen64: // n is negative if the value exceeds 64 bits
		return 0, uint64(max(n, -n))
	case kind == wireLength && n > 0 && n <= varintMax:
		return n, number
	}
	return -1, 0
}

// writeFields serializes fields; the inverse of readFields.
func writeFields(fields ...field) []byte {
	var message []byte
	for _, one := range fields {
		message = binary.AppendUvarint(message, one.number<<3|uint64(one.kind))
		if one.kind == wireLength {
			message = binary.AppendUvarint(message, uint64(len(one.content)))
		}
		message = append(message, one.content...)
	}
	return message
}

// mapEntry parses the field as an entry of a map<string, string>.
func (f field) mapEntry() (key, value string, err error) {
	fields, err := readFields(f.content)
	for _, one := range fields {
		switch {
		case one.is(1):
			key = string(one.content)
		case one.is(2):
			value = string(one.content)
		}
	}
	return key, value, err
}

func mapField(number uint64, key, value string) field {
	return field{number, wireLength, writeFields(field{1, wireLength, []byte(key)}, field{2, wireLength, []byte(value)})}
}
