"""Mutations of plain values, texts and bytes; all that is random comes from the generator that is given."""

import copy
import json

HUGE = (10**9, -(10**9), 2**31, 2**63, 10**400, 1e308, -1e308)
ODD = (0, -1, 1, 2, 3, 7, 0.5, 1e-12, True, False, None, "", "x", "\0", "x" * 100_000, "../..", [], {}, [[]])
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
LISTS = ([None], ["x"], [1, 2], list(range(5000)), [{}], {"name": "x"}, {"name": 5}, {"x": {"y": "z"}})
VALUES = (*HUGE, *ODD, *NOT_FINITE, *LISTS)


def places(value, path=()):
    """List the paths of all values inside ``value``, itself first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, v in inner for place in places(v, (*path, key)))]


def pick_place(rng, tree):
    """Pick a place, so that a key of a large table is no likelier than one beside the table."""
    path, value = (), tree
    while isinstance(value, dict | list) and len(value) and (not path or rng.random() < 0.7):
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        path, value = (*path, key), value[key]
    return path


def get_value(value, path):
    """Return what is at a path."""
    for key in path:
        value = value[key]
    return value


def nest(value, depth):
    """Put a value into ``depth`` mappings."""
    for _ in range(depth):
        value = {"name": value}
    return value


def mutate_tree(rng, tree):
    """Return a copy of plain values in which one place is another, and what was done."""
    tree = copy.deepcopy(tree)
    path = pick_place(rng, tree)
    parent, key = get_value(tree, path[:-1]), path[-1]
    kind = rng.choice(("value", "value", "value", "swap", "scale", "nest", "drop", "add", "rename"))
    if kind == "value":
        parent[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind == "swap":
        parent[key] = copy.deepcopy(get_value(tree, rng.choice(places(tree)[1:])))
    elif kind == "scale":
        parent[key] = _scale(rng, parent[key])
    elif kind == "nest":
        parent[key] = nest(parent[key], rng.choice((1, 3, 30, 300)))
    elif kind == "drop":
        parent.pop(key)
    else:
        _add_key(rng, parent, key, kind == "rename")
    return tree, f"{kind} {'.'.join(map(str, path))}: {str(parent)[:120]}"


def _scale(rng, value):
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [value, value]
    return value * rng.choice((-1, 2, 10, 1000, 10**6, 0.37))


def _add_key(rng, parent, key, rename):
    if isinstance(parent, list):
        parent += [copy.deepcopy(rng.choice(VALUES))] * rng.choice((1, 10, 1000))
    elif rename:
        parent[f"{key}{rng.choice(('s', '_', 'é'))}"] = parent.pop(key)
    else:
        parent |= {f"{key}{i}": i for i in range(rng.choice((1, 20_000)))}


def mutate_bytes(rng, content):
    """Return bytes of which some are others, gone or more, and what was done."""
    kind = rng.choice(("flip", "flip", "cut", "double", "zeros", "insert", "empty"))
    n, at = len(content), rng.randrange(max(len(content), 1))
    if kind == "flip" and n:
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 5, 50))):
            changed[rng.randrange(n)] ^= 1 << rng.randrange(8)
        return bytes(changed), "flip bits"
    changes = {
        "flip": content,
        "cut": content[:at],
        "double": content + content[at:],
        "zeros": content[:at] + bytes(min(64, n - at)) + content[at + 64 :],
        "insert": content[:at] + rng.randbytes(rng.choice((1, 8, 64))) + content[at:],
        "empty": b"",
    }
    return changes[kind], f"{kind} at byte {at} of {n}"


def dump_json(tree):
    """Write plain values as JSON bytes; deep ones, too."""
    return json.dumps(tree).encode("utf-8", "surrogatepass")
