"""Whether a changed contract still fits what is out there.

Two sides are asked, as topics keep records for 30 days and partners change their consumers when they can:

- *readers* know the published schema: what may be written now has to be within it;
- *records* on the bus follow the published schema: whoever reads by the current one has to take them.

Together they leave a contract one way to grow: a new property that may be missing, which readers ignore. Anything
else is a new version, on a topic of its own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

Schema = Mapping[str, Any]

_READERS: Final = "readers do not expect that"
_RECORDS: Final = "records on the bus break that"

_WORDS: Final = frozenset({"$comment", "$defs", "$id", "$schema", "deprecated", "description", "examples", "title"})
"""Keywords for people; they decide nothing about a value."""
_COMPARED_APART: Final = frozenset({"default", "enum", "items", "properties", "required", "type"})
_LOWER: Final = frozenset({"exclusiveMinimum", "minItems", "minLength", "minimum"})
_UPPER: Final = frozenset({"exclusiveMaximum", "maxItems", "maxLength", "maximum"})


def breaks(published: Schema, current: Schema) -> list[str]:
    """Every point in which `current` breaks with `published`, one readable line each; none when all is well.

    Both are schemas as pydantic makes them: definitions in `$defs`, not recursive. A keyword that is not understood
    counts as broken when it changes.
    """
    return list(_compare("", _plain(published, published.get("$defs", {})), _plain(current, current.get("$defs", {}))))


def _plain(node: Any, definitions: Schema) -> Any:
    """A schema with its references replaced by what they name, `const` by `enum`, and without words for people."""
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        rest = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        return _plain({**definitions[node["$ref"].removeprefix("#/$defs/")], **rest}, definitions)
    plain = {keyword: _plain(value, definitions) for keyword, value in node.items() if keyword not in _WORDS}
    if "properties" in node:  # its keys are names, of which one may be `title`
        plain["properties"] = {name: _plain(value, definitions) for name, value in node["properties"].items()}
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    return plain


def _compare(path: str, old: Schema, new: Schema) -> Iterator[str]:
    olds, news = _alternatives(old), _alternatives(new)
    for kind in sorted(olds.keys() | news.keys()):
        for before, after in zip_longest(olds[kind], news[kind]):
            if before is None:
                yield _line(path, f"may now be {kind}", _READERS)
            elif after is None:
                yield _line(path, f"may no longer be {kind}", _RECORDS)
            else:
                yield from _compare_alike(path, before, after)


def _alternatives(schema: Schema) -> defaultdict[str, list[Schema]]:
    """What a value may be, by type; a schema without `anyOf` is its only alternative."""
    around = {keyword: value for keyword, value in schema.items() if keyword != "anyOf"}
    found: defaultdict[str, list[Schema]] = defaultdict(list)
    for alternative in schema.get("anyOf", [{}]):
        whole = {**around, **alternative}
        found[str(whole.get("type", "anything"))].append(whole)
    return found


def _compare_alike(path: str, old: Schema, new: Schema) -> Iterator[str]:
    """Two schemas of the same type."""
    yield from _compare_values(path, old.get("enum"), new.get("enum"))
    yield from _compare_properties(path, old, new)
    if "items" in old or "items" in new:
        yield from _compare(f"{path}[]", old.get("items", {}), new.get("items", {}))
    for keyword in sorted((old.keys() | new.keys()) - _COMPARED_APART):
        yield from _compare_constraint(path, keyword, old.get(keyword), new.get(keyword))


def _compare_values(path: str, old: list[Any] | None, new: list[Any] | None) -> Iterator[str]:
    if old is None or new is None:
        yield from _compare_constraint(path, "enum", old, new)
        return
    yield from (_line(path, f"may now be {value!r}", _READERS) for value in new if value not in old)
    yield from (_line(path, f"may no longer be {value!r}", _RECORDS) for value in old if value not in new)


def _compare_properties(path: str, old: Schema, new: Schema) -> Iterator[str]:
    olds, news = old.get("properties", {}), new.get("properties", {})
    needed, asked = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(olds):
        place = _join(path, name)
        if name not in news:
            # Even where it could be missing: its reader would take the default for what was meant.
            yield _line(place, "is gone", _READERS)
            continue
        if name in needed - asked:
            yield _line(place, "may now be missing", _READERS)
        elif name in asked - needed:
            yield _line(place, "may no longer be missing", _RECORDS)
        elif olds[name].get("default") != news[name].get("default"):
            yield _line(place, "means something else where it is missing", _RECORDS)
        yield from _compare(place, olds[name], news[name])
    for name in sorted(asked - set(olds)):
        yield _line(_join(path, name), "is new and may not be missing", _RECORDS)


def _compare_constraint(path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
    """One keyword that limits the values, None where it is not there."""
    if old != new:
        change = f"{keyword} was {_shown(old)} and is {_shown(new)}"
        yield from (_line(path, change, consequence) for consequence in _consequences(keyword, old, new))


def _consequences(keyword: str, old: Any, new: Any) -> Sequence[str]:
    if old is None:
        return (_RECORDS,)
    if new is None:
        return (_READERS,)
    if keyword in _LOWER:
        return (_READERS,) if new < old else (_RECORDS,)
    if keyword in _UPPER:
        return (_READERS,) if new > old else (_RECORDS,)
    return _READERS, _RECORDS


def _line(path: str, change: str, consequence: str) -> str:
    return f"{path or 'payload'}: {change}: {consequence}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(limit: Any) -> str:
    return "not limited" if limit is None else repr(limit)
