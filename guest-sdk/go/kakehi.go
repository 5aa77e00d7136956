// What a rule for Kakehi is written with in Go: one file of the same package, standard library only.
//
// A rule defines describe(config string) (Contract, error) and apply(entry Entry) Verdict in another
// file of package main. The canonical ABI of the world kakehi:rules/rule@0.1.0 is read and written
// here by hand. What an entry holds is valid until apply returns: copy what must live longer.
package main

import (
	"strconv"
	"strings"
	"unsafe"
)

// === Values ===

// Tag says what a value is.
type Tag uint8

const (
	TagText Tag = iota
	TagBinary
	TagInteger
	TagBoolean
	TagReference
)

// Value is one value of one attribute, laid out as the ABI has it.
type Value struct {
	Tag Tag
	_   [7]byte
	// A pointer and a length, an integer, or a Boolean.
	payload uint64
}

// Text is a value for text.
func Text(text string) Value { return Value{Tag: TagText, payload: lower(text).payload()} }

// Binary is a value for bytes.
func Binary(bytes []byte) Value {
	return Value{Tag: TagBinary, payload: lower(string(bytes)).payload()}
}

// Reference is a value for another object.
func Reference(to string) Value { return Value{Tag: TagReference, payload: lower(to).payload()} }

// Integer is a value for a whole number.
func Integer(number int64) Value { return Value{Tag: TagInteger, payload: uint64(number)} }

// Boolean is a value for true or false.
func Boolean(flag bool) Value {
	if flag {
		return Value{Tag: TagBoolean, payload: 1}
	}
	return Value{Tag: TagBoolean}
}

// Text gives the value as a person would write it; false for binary.
func (v Value) Text() (string, bool) {
	switch v.Tag {
	case TagText, TagReference:
		return v.str().lift(), true
	case TagInteger:
		return strconv.FormatInt(int64(v.payload), 10), true
	case TagBoolean:
		if v.payload&0xff != 0 {
			return "True", true
		}
		return "False", true
	}
	return "", false
}

func (v Value) str() str { return str{uint32(v.payload), uint32(v.payload >> 32)} }

// === Reading ===

// Entry is one object, as far as the contract lets the rule see it. Names are compared exactly.
type Entry struct {
	// Class is the object type.
	Class                string
	attributes, imported []attribute
	parameters           []parameter
}

// Values gives all values of an attribute that Reads names, in stored order; none if it is absent.
func (e Entry) Values(name string) []Value { return find(e.attributes, name) }

// Confirmed gives all values of an attribute that ReadsImported names: what the connected system
// has confirmed.
func (e Entry) Confirmed(name string) []Value { return find(e.imported, name) }

// Get gives the first value.
func (e Entry) Get(name string) (Value, bool) {
	values := e.Values(name)
	if len(values) == 0 {
		return Value{}, false
	}
	return values[0], true
}

// Text gives the first value as text; false if it is absent or binary.
func (e Entry) Text(name string) (string, bool) {
	value, ok := e.Get(name)
	if !ok {
		return "", false
	}
	return value.Text()
}

// Int gives the first value as a whole number. Directories without a schema show numbers as text,
// so text in decimal counts too.
func (e Entry) Int(name string) (int64, bool) {
	value, ok := e.Get(name)
	if !ok {
		return 0, false
	}
	switch value.Tag {
	case TagInteger:
		return int64(value.payload), true
	case TagText:
		if number, err := strconv.ParseInt(value.str().lift(), 10, 64); err == nil {
			return number, true
		}
	}
	return 0, false
}

// Flag gives the first value as a truth value: a Boolean, or true and false as text in any case.
func (e Entry) Flag(name string) (flag, ok bool) {
	value, ok := e.Get(name)
	switch {
	case ok && value.Tag == TagBoolean:
		return value.payload&0xff != 0, true
	case ok && value.Tag == TagText:
		text := AsciiLower(value.str().lift())
		return text == "true", text == "true" || text == "false"
	}
	return false, false
}

// Binary gives the first value as bytes; nil if it is absent or not binary.
func (e Entry) Binary(name string) []byte {
	value, ok := e.Get(name)
	if !ok || value.Tag != TagBinary {
		return nil
	}
	return []byte(value.str().lift())
}

// Refs gives the references of an attribute: DNs inbound, metaverse ids outbound.
func (e Entry) Refs(name string) []string {
	var refs []string
	for _, value := range e.Values(name) {
		if value.Tag == TagReference {
			refs = append(refs, value.str().lift())
		}
	}
	return refs
}

// Param gives a parameter that the contract names.
func (e Entry) Param(name string) (string, bool) {
	for _, parameter := range e.parameters {
		if parameter.name.lift() == name {
			return parameter.value.lift(), true
		}
	}
	return "", false
}

func find(attributes []attribute, name string) []Value {
	for i := range attributes {
		if attributes[i].name.lift() == name {
			return unsafe.Slice((*Value)(pointer(attributes[i].values)), attributes[i].count)
		}
	}
	return nil
}

// AsciiLower turns A to Z into lower case; all other characters stay.
func AsciiLower(text string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, text)
}

// === Answering ===

// Contract says what the rule, so configured, needs and does.
type Contract struct {
	Reads, ReadsImported, Parameters, Writes []string
	// Volatile: the answer depends on the time too, the rule may call Now.
	Volatile bool
}

// Flow is what the rule contributes to one attribute.
type Flow struct {
	attribute string
	what      uint8
	values    []Value
}

const (
	whatValues uint8 = iota
	whatNone
	whatBlock
	whatKeep
)

// Set lets these values flow, for example those of an entry; no values mean None.
func Set(attribute string, values ...Value) Flow {
	if len(values) == 0 {
		return None(attribute)
	}
	return Flow{attribute, whatValues, values}
}

// SetText lets this text flow; where it is not ok, None.
func SetText(attribute, text string, ok bool) Flow {
	if !ok {
		return None(attribute)
	}
	return Set(attribute, Text(text))
}

// None lets nothing flow: the next rule may contribute; without one the attribute is removed.
func None(attribute string) Flow { return Flow{attribute: attribute, what: whatNone} }

// Block lets nothing flow, and no rule of lower precedence may contribute either.
func Block(attribute string) Flow { return Flow{attribute: attribute, what: whatBlock} }

// Keep is as if there were no such flow: a value already there stays.
func Keep(attribute string) Flow { return Flow{attribute: attribute, what: whatKeep} }

// Verdict is what the rule says of one object: made by Flows, Skip, Fail and FailAt.
type Verdict struct{ answer [6]uint32 }

// Flows is the answer with these flows.
func Flows(flows ...Flow) Verdict {
	list := make([]flow, len(flows))
	for i, from := range flows {
		list[i] = flow{name: lower(from.attribute), what: from.what}
		if len(from.values) > 0 {
			kept = append(kept, from.values)
			list[i].values = address(unsafe.Pointer(&from.values[0]))
			list[i].count = uint32(len(from.values))
		}
	}
	at, count := lowerList(list)
	return Verdict{[6]uint32{0, at, count}}
}

// Skip says that the object is out of this rule's scope. `explain` shows the reason.
func Skip(reason string) Verdict {
	text := lower(reason)
	return Verdict{[6]uint32{1, text.at, text.length}}
}

// Fail says that the object cannot be mapped: it keeps its last good state and is reported.
func Fail(message string) Verdict {
	text := lower(message)
	return Verdict{[6]uint32{2, 0, 0, 0, text.at, text.length}}
}

// FailAt is like Fail, naming the attribute of the contract that is at fault.
func FailAt(attribute, message string) Verdict {
	name, text := lower(attribute), lower(message)
	return Verdict{[6]uint32{2, 1, name.at, name.length, text.at, text.length}}
}

// === What the runtime offers ===

//go:wasmimport kakehi:rules/host@0.1.0 log
func hostLog(level uint32, at unsafe.Pointer, length uint32)

// Now is the instant of the run in Unix seconds; only for rules whose contract says Volatile.
//
//go:wasmimport kakehi:rules/host@0.1.0 now
func Now() int64

// Debug writes a line for the author of the rule. It changes no result.
func Debug(line string) { log(0, line) }

// Info is like Debug, at level info.
func Info(line string) { log(1, line) }

// Warn is like Debug, at level warn.
func Warn(line string) { log(2, line) }

// Error is like Debug, at level error. To report the object itself, answer Fail.
func Error(line string) { log(3, line) }

func log(level uint32, line string) {
	hostLog(level, unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

// === The canonical ABI ===

type str struct{ at, length uint32 }

type attribute struct {
	name          str
	values, count uint32
}

type parameter struct{ name, value str }

type flow struct {
	name          str
	what          uint8
	_             [3]byte
	values, count uint32
}

// Whatever the runtime may still read: Go's memory does not move, but it would be collected.
var kept []any

// The answer that the runtime reads; 40 bytes are the longest there is.
var answer [10]uint32

func pointer(at uint32) unsafe.Pointer { return unsafe.Pointer(uintptr(at)) }

func address(at unsafe.Pointer) uint32 { return uint32(uintptr(at)) }

func (s str) lift() string {
	if s.length == 0 {
		return ""
	}
	return unsafe.String((*byte)(pointer(s.at)), s.length)
}

func (s str) payload() uint64 { return uint64(s.at) | uint64(s.length)<<32 }

func lower(text string) str {
	if text == "" {
		return str{}
	}
	kept = append(kept, text)
	return str{address(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))}
}

func lowerList[T any](list []T) (at, count uint32) {
	if len(list) == 0 {
		return 0, 0
	}
	kept = append(kept, list)
	return address(unsafe.Pointer(&list[0])), uint32(len(list))
}

func lowerNames(names []string) (at, count uint32) {
	list := make([]str, len(names))
	for i, name := range names {
		list[i] = lower(name)
	}
	return lowerList(list)
}

//go:wasmexport kakehi_rules_0_1
func exportVersion() {}

//go:wasmexport cabi_realloc
func exportRealloc(old, oldLength, align, length uint32) uint32 {
	if length == 0 {
		return align
	}
	fresh := make([]uint64, (length+7)/8) // 8-aligned, and the interface asks for no more
	kept = append(kept, fresh)
	at := unsafe.Pointer(&fresh[0])
	if old != 0 {
		copy(unsafe.Slice((*byte)(at), length), unsafe.Slice((*byte)(pointer(old)), oldLength))
	}
	return address(at)
}

//go:wasmexport describe
func exportDescribe(at, length uint32) uint32 {
	contract, err := describe(str{at, length}.lift())
	if err != nil {
		reason := lower(err.Error())
		answer = [10]uint32{1, reason.at, reason.length}
		return address(unsafe.Pointer(&answer))
	}
	answer = [10]uint32{}
	lists := [][]string{contract.Reads, contract.ReadsImported, contract.Parameters, contract.Writes}
	for i, names := range lists {
		answer[2*i+1], answer[2*i+2] = lowerNames(names)
	}
	if contract.Volatile {
		answer[9] = 1
	}
	return address(unsafe.Pointer(&answer))
}

//go:wasmexport apply
func exportApply(class, classLength, attributes, attributesCount, imported, importedCount,
	parameters, parametersCount uint32,
) uint32 {
	verdict := apply(Entry{
		Class:      str{class, classLength}.lift(),
		attributes: unsafe.Slice((*attribute)(pointer(attributes)), attributesCount),
		imported:   unsafe.Slice((*attribute)(pointer(imported)), importedCount),
		parameters: unsafe.Slice((*parameter)(pointer(parameters)), parametersCount),
	})
	copy(answer[:], verdict.answer[:])
	return address(unsafe.Pointer(&answer))
}

//go:wasmexport cabi_post_describe
func exportDescribed(uint32) { release() }

//go:wasmexport cabi_post_apply
func exportApplied(uint32) { release() }

func release() {
	clear(kept) // so that what it held can be collected
	kept = kept[:0]
}

func main() {}
