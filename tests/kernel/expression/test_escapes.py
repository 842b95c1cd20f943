"""No text leads from the data to Python: more than a hundred attempts end in one of the two errors."""

from __future__ import annotations

import builtins
import collections
import enum

import pytest

from agentflow_kernel.errors import ExpressionFailed, ExpressionInvalid
from agentflow_kernel.expression import Expression, Script

ATTRIBUTES = [
    "__class__",
    "x.__class__",
    "x.__class__.__mro__",
    "x.__class__.__base__.__subclasses__()",
    "''.__class__",
    "().__class__.__bases__[0]",
    "[].__class__.__base__.__subclasses__()",
    "{}.__class__",
    "(1).__class__",
    "1 .__class__",
    "1.0.__class__",
    "true.__class__",
    "null.__class__",
    "x['__class__']",
    "x['__cl' + 'ass__']",
    "$.__class__",
    "$['__class__']",
    "x.__dict__",
    "x.__init__.__globals__",
    "x.__getattribute__('a')",
    "x.__reduce__()",
    "x.items",
    "x.items()",
    "x.keys()",
    "x.get('a')",
    "x.pop('a')",
    "x.update({})",
    "x.copy()",
    "items.append(1)",
    "items.__len__()",
    "items.sort()",
    "text.format",
    "text.format(x)",
    "text.join(items)",
    "text.upper()",
    "text.encode('utf-8')",
    "n.real",
    "n.bit_length()",
    "n.__add__(1)",
    "x.a.__class__",
    "x?.a",
    "x->a",
    "x::a",
    "len.__self__",
    "has.__globals__",
    "max.__call__(1, 2)",
    "(len)(x)",
    "x.a()",
    "x['a']()",
    "(x.a)()",
    "'a'()",
    "[len][0](x)",
    # attributes whose values would be JSON, so that nothing else stops them
    "n.numerator",
    "x.a.real",
    "x.a['denominator']",
    "x['a']['imag']",
    "$.x.a.real",
    "items[0].real",
    "items.__doc__",
    "x.a.__doc__",
    "(5).real",
    "(1.5).imag",
    "(true).real",
    "(null).__doc__",
    "'abc'.__doc__",
    "[1].__doc__",
    "{'a': 1}.__doc__",
    "(x).__doc__",
    "[x][0].a.real",
    "lower(text).__doc__",
    "x[lower('__DOC__')]",
    "x.a[text]",
    # as they are written elsewhere
    "x.constructor",
    "x.__proto__",
    "x.constructor.constructor('return 1')()",
    "items.length",
    "this",
    "self.__init__.__globals__",
    "globalThis.process",
    "require('fs')",
    "config.items()",
    "T(java.lang.Runtime).getRuntime()",
    "new Date()",
]
BUILTINS = [
    f"{name}({argument})"
    for name, argument in [
        ("eval", "'1'"),
        ("exec", "'1'"),
        ("compile", "'1', '', 'eval'"),
        ("open", "'/etc/passwd'"),
        ("__import__", "'os'"),
        ("getattr", "x, 'a'"),
        ("setattr", "x, 'a', 1"),
        ("delattr", "x, 'a'"),
        ("hasattr", "x, 'a'"),
        ("type", "x"),
        ("object", ""),
        ("vars", ""),
        ("dir", ""),
        ("globals", ""),
        ("locals", ""),
        ("input", ""),
        ("breakpoint", ""),
        ("print", "x"),
        ("repr", "x"),
        ("id", "x"),
        ("hash", "x"),
        ("isinstance", "x, x"),
        ("super", ""),
        ("chr", "65"),
        ("ord", "'a'"),
        ("range", "9"),
        ("list", "x"),
        ("dict", ""),
        ("set", "x"),
        ("tuple", "x"),
        ("bytes", "9"),
        ("bytearray", "9"),
        ("map", "len, x"),
        ("filter", "len, x"),
        ("sorted", "items"),
        ("sum", "items"),
        ("any", "items"),
        ("all", "items"),
        ("zip", "items"),
        ("iter", "items"),
        ("next", "items"),
        ("pow", "9, 9"),
        ("format", "n"),
        ("exit", ""),
        ("quit", ""),
        ("help", ""),
        ("memoryview", "text"),
        ("matches", "text, '(a+)+$'"),
    ]
]
SYNTAX = [
    "lambda: 1",
    "lambda x: x",
    "(lambda: 1)()",
    "[i for i in items]",
    "{i: 1 for i in items}",
    "(i for i in items)",
    "[*items]",
    "{**x}",
    "len(*items)",
    "len(x=1)",
    "f'{x}'",
    'f"{x.__class__}"',
    "r'a'",
    "b'a'",
    "u'a'",
    "'a' 'b'",
    "'''a'''",
    "`ls`",
    "$(ls)",
    "${x}",
    "#{x}",
    "{{x}}",
    "{% x %}",
    "<%= x %>",
    "(y := 1)",
    "y := 1",
    "y = 1",
    "x.a = 1",
    "n += 1",
    "n++",
    "n; n",
    "n\nn",
    "import os",
    "from os import path",
    "del x",
    "global x",
    "return x",
    "yield x",
    "await x",
    "async x",
    "assert x",
    "raise x",
    "pass",
    "while true: 1",
    "for i in items: i",
    "if n: 1",
    "def f(): 1",
    "class A: 1",
    "with x: 1",
    "try: 1",
    "n is 1",
    "n is not 1",
    "items[0:1]",
    "items[:]",
    "items[::]",
    "items[0, 1]",
    "items[...]",
    "...",
    "1, 2",
    "()",
    "(1,)",
    "1j",
    "1_0",
    "0x1",
    "0b1",
    "0o1",
    "1l",
    "Infinity",
    "NaN",
    "-Infinity",
    "nan",
    "inf",
    "9 ** 9 ** 9",
    "9 ^ 9",
    "1 << 62",
    "1 >> 1",
    "~1",
    "1 & 1",
    "1 | 1",
    "n @ n",
    "@n",
    "n # comment",
    "n // comment",
    "/* n */",
    "n \\\n + 1",
    "1e999",
    "-1e999",
    "1e308 * 10",
    "9223372036854775808",
    "'\\x41'",
    "'\\101'",
    "'\\N{BULLET}'",
    "'\\u{41}'",
    "'\\u00zz'",
    "'a",
    "'a\"",
]
TEXT = [
    "'%s' % x",
    "'%(a)s' % x",
    "'%1000000000d' % n",
    "'{0.__class__}' + x",
    "'a' * 10",
    "'a' * 1000000000",
    "1000000000 * 'a'",
    "items * 1000000000",
    "[0] * 1000000000",
    "text[0]",
    "text[-1]",
    "text['a']",
]
UNICODE = [
    "ｎ",  # noqa: RUF001 -- full-width letters: Python would take them for plain ones
    "ｌｅｎ(x)",  # noqa: RUF001
    "＿＿import＿＿('os')",  # noqa: RUF001
    "х.a",  # noqa: RUF001 -- Cyrillic
    "x.а",  # noqa: RUF001 -- Cyrillic
    "ⅼen(x)",  # noqa: RUF001
    "℮val('1')",  # noqa: RUF001
    "ª",
    "n\u200b",
    "n\u200d1",
    "n\u2028n",
    "n\ufeff",
    "\ufeffn",
    "\u202en",
    "n\u00a0+ 1",
    "n\u3000+ 1",
    "n + １",  # noqa: RUF001
    "n + ١",  # noqa: RUF001
    "n ＝＝ 5",  # noqa: RUF001
    "n − 1",  # noqa: RUF001
    "“n”",
    "‘n’",  # noqa: RUF001
    "n\x00",
    "\x00n",
    "x.\x00a",
    "'a\x00b'",
    "n\x0b+ 1",
    "n\x0c+ 1",
    "n\x1b[31m",
    "n\x85",
    "\ud800",
    "'\ud800'",
    "'\udfff\ud800'",
]
ATTEMPTS = ATTRIBUTES + BUILTINS + SYNTAX + TEXT + UNICODE

JSON = {"x": {"a": 1}, "items": [1, 2], "text": "abc", "n": 5}


@pytest.mark.parametrize("text", ATTEMPTS, ids=map(ascii, ATTEMPTS))
def test_attempt_ends_in_one_of_the_two_errors(text: str) -> None:
    with pytest.raises((ExpressionInvalid, ExpressionFailed)):
        Expression(text).evaluate(JSON)


@pytest.mark.parametrize("path", ["n.real", "x.a.real", "items[0].real", "items.__len__", "text.__doc__", "text[0]"])
def test_a_path_into_python_is_one_that_is_not_there(path: str) -> None:
    assert Expression(f"has({path})").test(JSON) is False
    assert Expression(f"default({path}, 'nothing')").evaluate(JSON) == "nothing"


def test_there_are_more_than_a_hundred_attempts() -> None:
    assert len(set(ATTEMPTS)) == len(ATTEMPTS) > 200


@pytest.mark.parametrize("name", [name for name in dir(builtins) if name not in {"True", "False", "None"}])
def test_a_builtin_is_an_unknown_name_like_any_other(name: str) -> None:
    with pytest.raises(ExpressionFailed, match=f"the data has no '{name}'"):
        Expression(name).evaluate(JSON)


@pytest.mark.parametrize("path", ["__class__", "x.__class__", "x['__init__']", "$.__builtins__"])
def test_a_name_with_underscores_is_a_key_like_any_other(path: str) -> None:
    data = {"__class__": 1, "__builtins__": 1, "x": {"__class__": 1, "__init__": 1}}
    assert Expression(path).evaluate(data) == 1


class Touched(Exception):
    pass


def touch(*_: object, **__: object) -> object:
    raise Touched


class Trap:
    """An object that reports every access to it, also by operators."""

    __getattribute__ = __getattr__ = __getitem__ = __len__ = __iter__ = __contains__ = __bool__ = touch
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = touch  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __floordiv__ = __mod__ = touch
    __neg__ = __abs__ = __round__ = __int__ = __float__ = __index__ = __str__ = __repr__ = __format__ = touch
    __call__ = __reduce__ = __reduce_ex__ = __copy__ = __deepcopy__ = touch  # type: ignore[assignment]


class TrapDict(dict):
    __getattribute__ = __getitem__ = __len__ = __iter__ = __contains__ = get = items = touch


class TrapList(list):
    __getattribute__ = __getitem__ = __len__ = __iter__ = __contains__ = __eq__ = touch


class TrapText(str):
    __slots__ = ()
    __getattribute__ = __len__ = __contains__ = __add__ = __eq__ = __hash__ = lower = touch


class TrapNumber(int):
    __getattribute__ = __add__ = __eq__ = __lt__ = __gt__ = __neg__ = __hash__ = touch


class Liar:
    """An object that says it is a dictionary."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        return dict

    def __getitem__(self, key: str) -> object:
        raise Touched

    get = items = __len__ = touch


class Level(enum.IntEnum):
    LOW = 1


USES = [
    "x",
    "x.a",
    "x['a']",
    "x[0]",
    "x[y]",
    "y[x]",
    "has(x)",
    "has(x.a)",
    "default(x, 1)",
    "default(x.a.b, 1)",
    "x == 1",
    "x == x",
    "'a' == x",
    "x != null",
    "x < 1",
    "'a' < x",
    "x > y",
    "x in [1, 2]",
    "x in y",
    "'a' in x",
    "x and true",
    "true and x",
    "not x",
    "x ? 1 : 2",
    "x + 1",
    "1 + x",
    "x * 2",
    "-x",
    "len(x)",
    "min(x, 1)",
    "max([x])",
    "abs(x)",
    "round(x)",
    "lower(x)",
    "contains(x, 'a')",
    "starts_with('a', x)",
    "int(x)",
    "float(x)",
    "str(x)",
    "[x]",
    "{'a': x}",
    "[[x]] == [[1]]",
    "1 in [0, x]",
    "z",
    "z.inner",
    "z.inner.a",
    "z.list",
    "z.list[0]",
    "z.list == [1]",
    "1 in z.list",
    "max(z.list)",
    "z.list + [1]",
    "z == {'inner': 1, 'list': [1]}",
]
OBJECTS = [Trap, TrapDict, TrapList, lambda: TrapText("a"), lambda: TrapNumber(3), Liar, lambda: Level.LOW]
OBJECTS += [collections.OrderedDict, lambda: collections.defaultdict(int), lambda: collections.UserDict(a=1)]
OBJECTS += [lambda: object, lambda: len, lambda: (1, 2), lambda: {1}, lambda: b"a", lambda: 1j, lambda: JSON.items]


@pytest.mark.parametrize("make", OBJECTS, ids=range(len(OBJECTS)))
@pytest.mark.parametrize("text", USES)
def test_a_python_object_in_the_data_is_refused_and_never_touched(text: str, make: type) -> None:
    thing = make()
    data = {"x": thing, "y": [1, 2], "z": {"inner": thing, "list": [thing]}}
    with pytest.raises(ExpressionFailed):
        Expression(text).evaluate(data)


@pytest.mark.parametrize("make", OBJECTS, ids=range(len(OBJECTS)))
@pytest.mark.parametrize("text", ["y := x", "x.a := 1", "x[0] := 1", "x += 1", "z.inner.a := 1", "z.new := 1", "x = 1"])
def test_a_script_neither_passes_on_nor_writes_into_a_python_object(text: str, make: type) -> None:
    thing = make()
    with pytest.raises(ExpressionFailed):
        Script(text).run({"x": thing, "z": {"inner": thing}})


@pytest.mark.parametrize(
    "text",
    [
        "len := 1; len(x)",
        "f(x) := 1",
        "x.a() := 1",
        "x[n] := 1",
        "x[] := 1",
        "'x' := 1",
        "1 := 2",
        "(x) := 1",
        "[x] := 1",
        "x, y := 1",
        "x := y := 1",
        "x := (y := 1)",
        "x := [y := 1]",
        "x == 1",
        "x",
        "",
        ";",
        "x := 1;;",
        "; x := 1",
        "x := 1 y := 2",
        "x :=",
        ":= 1",
        "true := 1",
        "null := 1",
        "in := 1",
        "True := 1",
        "None = 1",
        "$ := 1",
        "$[0] := 1",
        "x **= 2",
        "x //= 2",
        "x %= 2",
        "x |= 2",
        "x ||= 2",
        "del x",
        "import os; x := 1",
    ],
)
def test_a_text_that_does_more_than_assign_is_no_script(text: str) -> None:
    with pytest.raises(ExpressionInvalid):
        Script(text)
