"""What a rule for Kakehi is written with in Python.

A rule is a class `WitWorld(kakehi.Rule)` with two methods, `describe(config)` and `apply(entry)`.
The types come from the interface: an entry has `class_`, `attributes`, `imported`, `parameters`.
Nothing may be kept between objects but what `describe` made of the configuration.
"""

import re
import string

from componentize_py_types import Err as Refusal
from wit_world import WitWorld as Rule
from wit_world.imports import host
from wit_world.imports.types import (
    Contract,
    Contribution_Block,
    Contribution_Keep,
    Contribution_None_,
    Contribution_Values,
    Entry,
    Failure,
    Flow,
    Value_Binary,
    Value_Boolean,
    Value_Integer,
    Value_Reference,
    Value_Text,
    Verdict_Fail,
    Verdict_Flow,
    Verdict_Skip,
)

VALUES = (Value_Text, Value_Binary, Value_Integer, Value_Boolean, Value_Reference)
DECIMAL = re.compile(r"[+-]?[0-9]+")
INTEGERS = range(-(2**63), 2**63)
LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


# === Reading; names are compared exactly ===


def values(entry, name):
    """All values of an attribute that `reads` names, in stored order; empty if it is absent."""
    return _find(entry.attributes, name)


def confirmed(entry, name):
    """All values of an attribute of `reads_imported`: what the connected system has confirmed."""
    return _find(entry.imported, name)


def get(entry, name):
    """The first value; None if the attribute is absent."""
    return next(iter(values(entry, name)), None)


def text(entry, name):
    """The first value as text; None if it is absent or binary."""
    value = get(entry, name)
    if value is None or isinstance(value, Value_Binary):
        return None
    return str(value.value)


def integer(entry, name):
    """The first value as a whole number. Directories without a schema show numbers as text, so
    text in decimal counts too."""
    value = get(entry, name)
    if isinstance(value, Value_Integer):
        return value.value
    if isinstance(value, Value_Text) and DECIMAL.fullmatch(value.value):
        number = int(value.value)
        return number if number in INTEGERS else None
    return None


def flag(entry, name):
    """The first value as a truth value: a Boolean, or true and false as text in any case."""
    value = get(entry, name)
    if isinstance(value, Value_Boolean):
        return value.value
    if isinstance(value, Value_Text):
        return {"true": True, "false": False}.get(ascii_lower(value.value))
    return None


def binary(entry, name):
    """The first value as bytes; None if it is absent or not binary."""
    value = get(entry, name)
    return value.value if isinstance(value, Value_Binary) else None


def refs(entry, name):
    """The references of an attribute: DNs inbound, metaverse ids outbound."""
    return [value.value for value in values(entry, name) if isinstance(value, Value_Reference)]


def param(entry, name):
    """A parameter that the contract names; None if there is none."""
    return next((p.value for p in entry.parameters if p.name == name), None)


def ascii_lower(of):
    """A to Z in lower case; all other characters stay."""
    return of.translate(LOWER)


def _find(attributes, name):
    return next((a.values for a in attributes if a.name == name), [])


# === Answering ===


def contract(reads, writes, reads_imported=(), parameters=(), volatile=False):
    """What the rule, so configured, needs and does."""
    return Contract(list(reads), list(reads_imported), list(parameters), list(writes), volatile)


def refuse(reason):
    """Raises: the configuration cannot be used, for this reason."""
    raise Refusal(reason)


def set(attribute, *contents):
    """These values flow: text, int, bool, bytes, values of an entry. None is left out; no values
    mean `none`."""
    flowing = [_value(content) for content in contents if content is not None]
    return Flow(attribute, Contribution_Values(flowing)) if flowing else none(attribute)


def none(attribute):
    """Nothing flows: the next rule may contribute; without one the attribute is removed."""
    return Flow(attribute, Contribution_None_())


def block(attribute):
    """Nothing flows, and no rule of lower precedence may contribute either."""
    return Flow(attribute, Contribution_Block())


def keep(attribute):
    """As if there were no such flow: a value already there stays."""
    return Flow(attribute, Contribution_Keep())


def flow(*flows):
    """The answer with these flows."""
    return Verdict_Flow(list(flows))


def skip(reason):
    """The object is out of this rule's scope. `explain` shows the reason."""
    return Verdict_Skip(reason)


def fail(message):
    """The object cannot be mapped: it keeps its last good state and is reported."""
    return Verdict_Fail(Failure(None, message))


def fail_at(attribute, message):
    """Like `fail`, naming the attribute of the contract that is at fault."""
    return Verdict_Fail(Failure(attribute, message))


def _value(content):
    if isinstance(content, VALUES):
        return content
    # Before numbers: a bool is an int, too.
    if isinstance(content, bool):
        return Value_Boolean(content)
    if isinstance(content, int):
        return Value_Integer(content)
    if isinstance(content, bytes):
        return Value_Binary(content)
    if isinstance(content, str):
        return Value_Text(content)
    raise TypeError(f"no attribute can hold {type(content).__name__}")


# === What the runtime offers ===


def now():
    """The instant of the run in Unix seconds; only for rules whose contract says volatile."""
    return host.now()


def debug(line):
    """A line for the author of the rule. It changes no result."""
    host.log(host.Level.DEBUG, line)


def info(line):
    host.log(host.Level.INFO, line)


def warn(line):
    host.log(host.Level.WARN, line)


def error(line):
    host.log(host.Level.ERROR, line)
