"""Code as models write it, good and bad, made by a seeded generator; and the tools it calls.

Left out is what differs between any two processes: the order of a set of strings, random numbers, the
clock, how much of the stack is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from string import Template
from typing import Any

from smolagents import FinalAnswerTool, Tool

OUTPUT_CHARS = 4000
"""Beyond which some snippets print on purpose."""


@dataclass(frozen=True)
class Run:
    """Actions for one executor, one after the other."""

    actions: tuple[str, ...]
    imports: tuple[str, ...] = ()
    """Authorised beside smolagents' own."""


def runs(snippets: int = 700, seed: int = 0) -> list[Run]:
    """As many actions as asked for: all that are written below, with values drawn, and others drawn whole."""
    rng = random.Random(seed)
    stories: list[Run] = []
    singles: list[Run] = []
    for imports, texts in WRITTEN.items():
        for story in [story for text in texts for story in parse(text)]:
            run = Run(tuple(fill(rng, story)), imports)
            (singles if len(run.actions) == 1 else stories).append(run)
    singles += [Run((fill(rng, [text])[0],)) for text in ODD]
    left = snippets - sum(len(run.actions) for run in [*stories, *singles])
    if left < 0:
        raise ValueError(f"{snippets} snippets are fewer than those written; ask for {-left} more.")
    plain = [run.actions[0] for run in singles if not run.imports]
    for _ in range(left):
        make = rng.choice([program, program, expression_line, guarded, nested])
        singles.append(Run((make(rng, plain),)))
    return [*stories, *grouped(rng, singles)]


def grouped(rng: random.Random, singles: list[Run]) -> Iterator[Run]:
    """Snippets that have nothing to do with each other share a state, up to five."""
    for imports in dict.fromkeys(run.imports for run in singles):
        actions = [action for run in singles if run.imports == imports for action in run.actions]
        rng.shuffle(actions)
        while actions:
            size = rng.randint(1, 5)
            yield Run(tuple(actions[:size]), imports)
            actions = actions[size:]


def parse(text: str) -> list[list[str]]:
    """Stories, which stand a blank line apart; their actions, `#--` apart."""
    return [story.split("\n#--\n") for story in text.strip("\n").split("\n\n")]


def fill(rng: random.Random, story: list[str]) -> list[str]:
    """With the same values for all its actions."""
    values = {
        "n": rng.randint(2, 9),
        "m": rng.randint(10, 99),
        "k": rng.randint(-20, 20),
        "x": round(rng.uniform(-9, 9), 3),
        "w": rng.choice(WORDS),
        "v": rng.choice(WORDS),
        "ints": [rng.randint(-9, 30) for _ in range(rng.randint(3, 7))],
        "words": rng.sample(WORDS, 4),
        "expr": expression(rng, 2),
    }
    return [Template(action).substitute(values) for action in story]


WORDS = ["river", "town", "Oba", "población", "naïve", "東京", "two_words", "42", "x", "a b", ""]
OPERATORS = ["+", "-", "*", "/", "//", "%", "<", ">=", "==", "!=", "and", "or", "&", "|", "^"]


def expression(rng: random.Random, depth: int = 3) -> str:
    """Of numbers; it may divide by zero."""
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(["0", "1", "2", "3", "7", "10", "True", "2.5", "-4", "1e3", "0.1"])
    one, two = expression(rng, depth - 1), expression(rng, depth - 1)
    match rng.randrange(6):
        case 0:
            return f"({one} if {two} else {expression(rng, depth - 1)})"
        case 1:
            function = rng.choice(["abs", "int", "float", "bool", "str", "round", "-", "not "])
            return f"({function}({one}))"
        case 2:
            return f"{rng.choice(['max', 'min', 'divmod', 'pow'])}({one}, {rng.randint(-2, 3)})"
        case _:
            return f"({one} {rng.choice(OPERATORS)} {two})"


def expression_line(rng: random.Random, _: list[str]) -> str:
    text = expression(rng, 4)
    return rng.choice(["{}", "value = {}", "print({})", "final_answer({})"]).format(text)


def program(rng: random.Random, _: list[str]) -> str:
    """A function of loops and branches over numbers, called on a few."""
    lines, names = [], ["a", "b"]

    def value() -> str:
        return rng.choice([*names, *names, str(rng.randint(-3, 12)), "len(seen)"])

    def block(indent: int, size: int) -> None:
        pad = "    " * indent
        for _ in range(size):
            kind = rng.randrange(9) if indent < 4 else rng.randrange(5)
            if kind == 0:
                names.append(rng.choice("cdefg"))
                lines.append(f"{pad}{names[-1]} = {value()} {rng.choice('+-*%')} {value()}")
            elif kind == 1:
                lines.append(f"{pad}a {rng.choice(['+', '-', '*', '//'])}= {value()}")
            elif kind == 2:
                lines.append(f"{pad}seen.append({value()})")
            elif kind == 3:
                lines.append(f"{pad}print('{rng.choice(WORDS)}', {value()}, seen[-2:])")
            elif kind == 4:
                lines.append(f"{pad}b = [i * {value()} for i in range(4) if i != {value()}][-1]")
            elif kind == 5:
                lines.append(f"{pad}for i in range({rng.randint(1, 4)}):")
                block(indent + 1, rng.randint(1, 2))
                if rng.random() < 0.3:
                    lines.append(f"{pad}    if i > {value()}: {rng.choice(['break', 'continue'])}")
            elif kind == 6:
                lines.append(f"{pad}if {value()} {rng.choice(['<', '>', '==', '!='])} {value()}:")
                block(indent + 1, 1)
                lines.append(f"{pad}else:")
                block(indent + 1, 1)
            elif kind == 7:
                lines.append(f"{pad}try:")
                block(indent + 1, 1)
                caught = rng.choice(["ZeroDivisionError", "Exception", "IndexError"])
                lines.append(f"{pad}except {caught} as error:")
                lines.append(f"{pad}    print('caught', error)")
            else:
                lines.append(f"{pad}while len(seen) < {rng.randint(1, 6)}:")
                lines.append(f"{pad}    seen.append(a)")

    lines += ["def work(a, b=2):", "    seen = []"]
    block(1, rng.randint(3, 6))
    lines += ["    return a, b, seen", f"print(work({rng.randint(-5, 9)}))", "work(3, b=1)"]
    return "\n".join(lines)


def guarded(rng: random.Random, others: list[str]) -> str:
    """Another snippet, in a try."""
    end = rng.choice(["", "\nelse:\n    print('fine')", "\nfinally:\n    print('done')"])
    kind = rng.choice(["Exception", "ValueError", "(KeyError, TypeError)", "ZeroDivisionError"])
    body = indented(rng.choice(others))
    return f"try:\n{body}\nexcept {kind} as error:\n    print('caught:', error){end}"


def nested(rng: random.Random, others: list[str]) -> str:
    """Another snippet, in a loop or in a function."""
    head = rng.choice(["for turn in range(2):", "if True:", "def scope():"])
    call = "\nscope()" if head.startswith("def") else ""
    return f"{head}\n{indented(rng.choice(others))}{call}"


def indented(code: str) -> str:
    return "\n".join("    " + line for line in code.splitlines())


class QuotaError(Exception):
    """Known to the tool alone."""


class QuotaValueError(ValueError):
    """A built-in kind of error, under a name of its own."""


class Styled(str):
    """A text of a class of its own, as smolagents' AgentText is."""


class Search(Tool):
    name, description, output_type = "search", "Search.", "string"
    inputs = {  # noqa: RUF012
        "query": {"type": "string", "description": "What."},
        "limit": {"type": "integer", "description": "How many.", "nullable": True},
    }

    def forward(self, query: str, limit: int = 2) -> str:
        return f"Page on {query}, " * limit


class Count(Tool):
    name, description, output_type = "count", "Count letters.", "integer"
    inputs = {"text": {"type": "string", "description": "What."}}  # noqa: RUF012

    def forward(self, text: str) -> int:
        return len(text)


class Split(Tool):
    name, description, output_type = "split", "Split.", "array"
    inputs = {"text": {"type": "string", "description": "What."}}  # noqa: RUF012

    def forward(self, text: str) -> list:
        return text.split()


class Record(Tool):
    name, description, output_type = "record", "Look up.", "object"
    inputs = {"name": {"type": "string", "description": "Whose."}}  # noqa: RUF012

    def forward(self, name: str) -> dict:
        return {
            "name": name, "tags": ["a", name], "at": (1.5, -2), "none": None,
            "nested": {1: {"deep": [True]}}, "!": "mark",
        }  # fmt: skip


class Pair(Tool):
    name, description, output_type = "pair", "Make a pair.", "any"
    inputs = {name: {"type": "any", "description": "One."} for name in ("a", "b")}  # noqa: RUF012

    def forward(self, a: Any, b: Any) -> tuple:
        return a, b


class Nothing(Tool):
    name, description, output_type = "nothing", "Do nothing.", "null"
    inputs = {}  # noqa: RUF012

    def forward(self) -> None:
        return None


class StyledText(Tool):
    name, description, output_type = "styled", "Style.", "string"
    inputs = {"text": {"type": "string", "description": "What."}}  # noqa: RUF012

    def forward(self, text: str) -> str:
        return Styled(f"*{text}*")


class Echo(Tool):
    name, description, output_type = "echo", "Return it.", "any"
    inputs = {"value": {"type": "any", "description": "What."}}  # noqa: RUF012

    def forward(self, value: Any) -> Any:
        return value


class Fail(Tool):
    name, description, output_type = "fail", "Fail.", "string"
    inputs = {"kind": {"type": "string", "description": "How."}}  # noqa: RUF012

    def forward(self, kind: str) -> str:
        errors: dict[str, Callable[[], BaseException]] = {
            "value": lambda: ValueError("not a good value: 'é'"),
            "key": lambda: KeyError("missing"),
            "quota": lambda: QuotaError("no more today"),
            "quota value": lambda: QuotaValueError("too much"),
            "os": lambda: OSError(5, "it broke"),
            "file": lambda: FileNotFoundError(2, "No such file", "index.db"),
            "type": lambda: TypeError("wrong type"),
            "index": lambda: IndexError("list index out of range"),
            "empty": RuntimeError,
            "two": lambda: RuntimeError("one", 2),
            "lines": lambda: RuntimeError("line one\nline two\n"),
            "zero": lambda: ZeroDivisionError("division by zero"),
            "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "timeout": lambda: TimeoutError("timed out"),
            "stop": lambda: StopIteration("halt"),
            "interpreter": lambda: NotImplementedError("not yet"),
        }
        if kind in errors:
            raise errors[kind]()
        return f"did not fail by {kind}"


def shout(text: str, times: int = 1) -> str:
    """A tool that is a function."""
    return (text.upper() + "!") * times


def doubled(value: Any) -> Any:
    """An additional function."""
    return value * 2


VARIABLES = {
    "shared": {"cities": ["Lurra"], "size": (3, 4)},
    "ratio": 0.5,
    "pair_of": (1, None),
    "odd": {1: {2, 3}, "!": [True]},
}
"""What the app hands in before the first action."""


def tools() -> dict[str, Callable]:
    made = [Search(), Count(), Split(), Record(), Pair(), Nothing(), StyledText(), Echo(), Fail()]
    return {tool.name: tool for tool in [*made, FinalAnswerTool()]} | {"shout": shout}


# In these, $n and $m are whole numbers, $k one of either sign, $x a fraction, $w and $v words.

STORIES = r"""
total = $n
#--
total += $m
print(total)
#--
total
#--
final_answer(total)

def area(w, h=$n):
    return w * h
#--
print(area($m))
#--
final_answer(area(h=2, w=$n))

xs = $ints
#--
xs.append($k)
xs.sort()
#--
xs[$n]
#--
print(xs)
xs = None
#--
xs[0]

import math
#--
math.sqrt($m)
#--
print(math.factorial($n), math.gcd($m, $n))

kept = 1
print('before')
1 / 0
kept = 2
#--
kept
#--
print(kept)

def broken(:
    pass
#--
broken()
#--
def broken():
    return '$w'
broken()

population = $m
#--
print(populaton * 2)
#--
popul

class Account:
    fee = $n
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance
    def pay(self, amount):
        self.balance += amount - self.fee
        return self
    def __str__(self):
        return f'{self.owner}: {self.balance}'
mine = Account('$w')
#--
mine.pay($m).pay(1)
print(mine)
#--
class Savings(Account):
    fee = 0
    def __init__(self, owner):
        super().__init__(owner, $n)
    def pay(self, amount):
        return super().pay(amount * 2)
yours = Savings('$v')
yours.pay(3)
print(yours)
#--
print(isinstance(yours, Account), issubclass(Savings, Account), Savings.fee, yours.balance)
#--
final_answer(yours)

counts = {}
for letter in 'mississippi':
    counts[letter] = counts.get(letter, 0) + 1
counts
#--
sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
#--
counts['z']
#--
final_answer(max(counts, key=counts.get))

def make_counter():
    seen = [0]
    def step(by=1):
        seen[0] += by
        return seen[0]
    return step
#--
tick = make_counter()
tick()
tick($n)
#--
print(tick(), make_counter()())

page = search('$w')
#--
print(page)
#--
found = page.split()
len(found)
#--
final_answer(page)

facts = record('$w')
#--
facts['name']
#--
facts['missing']
#--
facts['tags'][0], facts['at']

answer = final_answer
#--
answer($n)
#--
answer(answer=$m)
#--
print(1)
answer(2)
print(3)

final_answer($n)
#--
print('goes on')
#--
final_answer('$w')

del nothing_there
#--
x = 1
del x
#--
x

search = 'mine'
#--
search('$w')
#--
def search(query):
    return 'own'
#--
search('$w')

len = 3
#--
print = 4
#--
final_answer = 5
#--
len([1])
print('still')
#--
final_answer(6)

it = iter($ints)
next(it)
#--
next(it)
#--
list(it)
#--
next(it, 'none')
#--
next(it)

gen = (i * i for i in range($n))
#--
next(gen)
#--
sum(gen)
#--
list(gen)

from collections import Counter, defaultdict, OrderedDict, deque, namedtuple
#--
Counter('$w$v')
#--
d = defaultdict(list)
d['a'].append($n)
d
#--
Point = namedtuple('Point', 'x y')
p = Point($n, $m)
print(p, p.x)
p
#--
q = deque($ints, maxlen=2)
final_answer(q)

print('a' * 3000)
#--
print('b' * 3000)
print('c' * 3000)
#--
print('small')

for i in range(2000):
    print(i)
#--
print(_print_outputs)
#--
print('x')
1 / 0

for i in range(2000):
    print('$w', i)
raise ValueError('after much')
#--
i

print('y' * 5000)
final_answer('$w')
#--
print(len('$w'))

data = shared['cities']
print(data)
#--
data.append('$w')
print(shared)
#--
ratio, pair_of, odd
"""

NUMBERS = r"""
$n ** $n - $m // $n % 7

round($x, 1), round($m / 7, 3), round(2.5), -$n // 2, divmod($m, $n)

0.1 + 0.2, 1e100, 1e-7, float('nan'), float('inf'), -0.0, 10 ** 30

complex($n, $k) * 2j

(1 << $n) | 5, ~$m, $m ^ $n, $m >> 1, 0x1f, 0b101, 1_000

a = $n
a += 1
a -= 3
a *= $m
a /= 2
a //= 1
a **= 2
a %= 97
a

a = 6
a |= $n
a &= 7
a ^= 1
a <<= 2
a >>= 1
a

int('$m') + int('ff', 16), float('$x'), str($x), bool('')

1 < $n < 10 < 5, 1 < $n <= 9, not $k, $k and '$w', $k or '$w', $n is None

x = $expr
print(x)
x

sum($ints), max($ints), min($ints), sorted($ints), len($ints), sum($ints) / len($ints)

sqrt($m), ceil($x), floor($x), log($m), exp(1), sin($n), atan2(1, $n), degrees(pi)

is_prime = lambda n: n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1))
[i for i in range($m) if is_prime(i)]
"""

STRINGS = r"""
'$w' + '$v' * 2, '$w'.upper(), '$w'[::-1], len('$w'), '$w' in '$v', '$w' < '$v'

f'{$m:>6}|{$x:.2f}|{"$w"!r:^12}|{$m:,}|{$n:03d}|{$x:e}|{0.256:.1%}'

name = '$w'
f'{name=} {name!s} {{}} {len(name) + $n}'

'a,b,,c'.split(','), ' pad '.strip(), '-'.join($words), 'aXbX'.replace('X', '$n')

'%s has %d and %.1f' % ('$w', $n, $x)

'{} {k} {0!r}'.format('$w', k=$n)

'\n\t\\ \x41 \u00e9', r'\n', 'é'.encode('utf-8'), b'ab' + b'c', 'tab\there'

print('é ñ 漢字 😀 \u202e', '$w')

'straße'.casefold(), 'ǆ'.title(), 'É'.lower(), '$w'.isalpha(), '12'.isdigit(), '٣'.isdecimal()

'abc'.encode('utf-16'), 'é'.encode('latin-1'), 'é'.encode('cp1252'), 'é'.encode('ascii', 'ignore')

'bücher'.encode('idna'), 'bücher'.encode('punycode'), 'é'.encode('unicode_escape')

'é'.encode('ascii')

ord('$n'), chr(233), 'abc'.maketrans('a', 'b'), 'aab'.count('a'), '$w'.zfill(12)
"""

CONTAINERS = r"""
xs = $ints
xs[1:], xs[::-1], xs[-1], xs.index(xs[2]), xs * 2, xs + [1], xs == list(xs)

xs = $ints
xs[0] = '$w'
xs[1:2] = [7, 8]
del xs[-1]
xs.insert(1, None)
xs.pop(0), xs

d = {'a': $n, $n: 'a', (1, 2): [3], None: {}}
d[(1, 2)].append(4)
d.pop('a')
d

d = dict(a=$n, b=$m)
d.update(c=1)
d | {'a': 0}, {**d, 'e': 5}, list(d.items()), d.get('z', 'no')

{1, 2, $n} & {2, $n}, {1} | {2}, {3, 1} - {1}, frozenset([1]), set(), {$n: {}}

s = set(range(100))
for i in range(100):
    if i not in (1, 8):
        s.discard(i)
s

t = ($n,)
t + (2, 3), t * 2, t[0], (), ((1, 2), [3]), t.count($n)

first, *rest = $ints
print(first, rest)
(a, b), c = (1, 2), 3
a, b = b, a
a, b, c

nested = {'rows': [{'id': i, 'tags': ('x', i)} for i in range($n)]}
nested['rows'][1]['tags'][1], nested

list(zip('abc', $ints)), list(enumerate('ab', 5)), list(map(str, $ints)), list(filter(None, $ints))

print(list(reversed($ints)), any([]), all([]))
sorted($words, key=len, reverse=True), range($n), list(range(9, 0, -$n))

dict.fromkeys('ab', $n), {'!': 'tag', 'of': [1]}, {'!': 'tuple', 'of': [1, 2]}, {1: 2, 'x': {2: 3}}

{'a': 1}.keys(), {'a': 1}.values(), {'a': 1}.items(), slice(1, 2)

deep = []
for i in range(30):
    deep = [deep, i]
deep

deep = []
for i in range(70):
    deep = [deep]
deep

loop = [1]
loop.append(loop)
loop
"""

COMPREHENSIONS = r"""
[i * j for i in range(3) for j in range($n) if i != j]

{w: len(w) for w in $words if w}, {len(w) for w in $words}, sum(i for i in $ints)

[[c for c in row] for row in ['ab', 'cd']], [x if x > 3 else -x for x in $ints]

[(a, b) for a, b in {'x': 1}.items()], [y := 3 for _ in range(2)]

matrix = [[1, 2], [3, 4]]
[list(row) for row in zip(*matrix)], [v for row in matrix for v in row]
"""

CONTROL_FLOW = r"""
for i in range($n):
    if i == 3: break
    if i % 2: continue
    print(i)
else:
    print('no break')

i = 0
while i < $n:
    i += 1
    if i == 2: continue
    if i > 5: break
else:
    print('ended')
i

for i, (a, b) in enumerate([(1, 2), (3, 4)]):
    print(i, a, b)

if $k > 5:
    r = 'big'
elif $k > 0:
    r = 'small'
else:
    r = 'neg'
r

n = 0
while True:
    n += 1

for i in range(10 ** 9):
    pass

pass

# only a comment

...

'a docstring'

x = y = $n; x; y
"""

FUNCTIONS = r"""
def f(a, b=$n, *rest, c, d=4, **more):
    return a, b, rest, c, d, more
f(1, c=3), f(1, 2, 3, 4, c=5, z=6)

def f(a): return a
f()

def f(a): return a
f(1, 2)

def f(a): return a
f(b=2)

def fact(n):
    return 1 if n < 2 else n * fact(n - 1)
fact($m)

def fib(n, memo={}):
    if n not in memo:
        memo[n] = n if n < 2 else fib(n - 1) + fib(n - 2)
    return memo[n]
fib(20)

def early(x):
    for i in range(9):
        if i > x:
            return i
print(early($n), early(20))

def outer(x):
    def inner(y):
        return x + y
    return inner
outer($n)($m)

total = 0
def add(n):
    global total
    total += n
add($n)
total

def outer():
    n = 0
    def inner():
        nonlocal n
        n += 1
        return n
    return inner
outer()()

def shout_it(f):
    def wrapped(*a):
        return str(f(*a)).upper()
    return wrapped
@shout_it
def hi(n):
    return 'hi ' + n
hi('$w')

def typed(a: int, b: str = '$w') -> dict[str, int]:
    '''Doc.'''
    n: int = a
    return {b: n}
typed($n)

(lambda *a, k=2, **o: (a, k, o))(1, 2, k=$n, z=1), (lambda: '$w')()

compose = lambda f, g: lambda x: f(g(x))
compose(lambda x: x + 1, lambda x: x * $n)($m)

args, more = [3, 1], {'key': lambda v: -v}
sorted([2, *args], **more), max(*args), print(*args, *'ab')

print('a', $n, [1], sep='-')

print('a', end='')
print()
print(None, True, $x, ('$w',), {'k': '$v'})

def gen(n):
    for i in range(n):
        yield i
list(gen($n))
"""

CLASSES = r"""
class P:
    def __init__(self, x):
        self.x = x
    def __repr__(self):
        return f'P({self.x})'
[P(1), P($n)], P(2)

class V:
    def __init__(self, x): self.x = x
    def __add__(self, o): return V(self.x + o.x)
    def __eq__(self, o): return self.x == o.x
    def __len__(self): return $n
    def __getitem__(self, i): return i * 2
    def __call__(self, z): return z + self.x
v = V(1) + V(2)
v.x, v == V(3), len(v), v[4], v(5)

class A:
    def hello(self): return 'A'
class B(A):
    def hello(self): return 'B' + super().hello()
class C(B): pass
C().hello(), C.hello(C())

class Shape:
    '''Doc.'''
    count = 0
    sides: int = $n
    def grow(self):
        Shape.count += 1
        return self
s = Shape().grow().grow()
Shape.count, s.sides, Shape

class Ctx:
    def __enter__(self):
        print('in')
        return $n
    def __exit__(self, *a):
        print('out', a[0])
        return True
with Ctx() as c:
    print(c)
    1 / 0
print('after')

class It:
    def __init__(self): self.n = 0
    def __iter__(self): return self
    def __next__(self):
        self.n += 1
        if self.n > $n: raise StopIteration
        return self.n
list(It()), sum(It())

class E(ValueError):
    def __init__(self, code):
        super().__init__(f'code {code}')
        self.code = code
try:
    raise E($n)
except E as e:
    print(e, e.code)

class E(Exception): pass
raise E('$w')

class Q:
    def __str__(self): return 'shown $w'
q = Q()
print(q, f'{q}', str(q))
q

class Q:
    pass
q = Q()
q.x = $n
q.y

class Q:
    @staticmethod
    def s(): return 1
Q.s()

class Q:
    @property
    def p(self): return $n
Q().p

type('T', (), {'a': $n}).a, type(1), type('a') is str, type([]), int, [str, dict]
"""

ERRORS = r"""
1 / 0

print('before')
undefined_name_$n

undefined_function_$n(3)

'a' + $n

len($n)

[1, 2][$m]

xs = $ints
xs['a']

{'abc': 1, 'abd': 2}['abx']

{'a': 1}[3]

{1: 'a', 2: 'b'}['x']

(1, 2).append(3)

'abc'.push('d')

x = None
x.strip()

int('$w.')

float('1,5')

a, b = 1, 2, 3

[].pop()

{}.popitem()

max([])

next(iter([]))

assert $n == 0, 'not $w'

assert $n == 0

raise ValueError('own $w')

raise ValueError

raise KeyError('$w')

raise RuntimeError('a', $n)

raise NotImplementedError()

raise StopIteration('s')

raise '$w'

raise

5()

'abc'()

sorted([1, 'a'])

[1] < 'a'

{[]: 1}

hash([])

range(1, 2, 0)

'{} {}'.format(1)

'%d' % 'x'

f'{1:z}'

chr(-1)

2.0 ** 10000

math.pi

sum(['a'])

None + 1

for x in $n: pass

with $n as x: pass

import_me = __import__('os')
"""

SYNTAX_ERRORS = r"""
print('a'

x = = 1

if True
    x = 1

  x = 1

def f():
return 1

'unterminated

x = 5 +

return 3

break

print 'old'

x := 3

1 = x

f(a b)

Thought: I should compute
x = 1

```python
x = 1
```

résumé = 1; print(résumé)

x = “quoted”
"""

FORBIDDEN = r"""
import os

import os.path as p

from os import system

import sys, math

import subprocess
subprocess.run(['ls'])

import numpy as np

from sympy import *

import smolagents

import not_a_module_$n

from math import not_there

from .local import x

import random
random._os.system('ls')

import queue
queue.threading

().__class__

(1).__class__.__bases__[0].__subclasses__()

''.__len__()

getattr([], '__class__')

getattr([1], 'append')(2), getattr([], 'nope', $n), hasattr([], 'pop')

eval('1+1')

exec('x=1')

open('/etc/passwd')

input('?')

compile('1', '', 'eval')

globals()

vars()

dir([])

id(1)

exit()

help(len)

isinstance(3, object), object()
"""

RARE_SYNTAX = r"""
match $n:
    case 1: x = 1
    case _: x = 2
x

async def f(): pass

x = [1]
x[0]: int = 3
x

if (n := $n) > 3:
    print(n)

try:
    1 / 0
except* ZeroDivisionError:
    print('group')

x = 3
print(f'{x!r:>{10}}')

a = b'$n'
a[0], bytes([65]), memoryview(a)

print(*(i for i in 'ab'), sep='')

type X = int

del [1][0]

x = *[1, 2], 3
x
"""

TRY = r"""
try:
    1 / 0
except ZeroDivisionError as e:
    print('caught', e)
else:
    print('no')
finally:
    print('end')

try:
    print('ok')
except Exception:
    pass
else:
    print('else')
finally:
    print('end')

try:
    {}['k']
except (KeyError, ValueError) as e:
    print(type(e), e)

try:
    int('x')
except KeyError:
    print('wrong')
finally:
    print('cleanup')

try:
    try:
        raise ValueError('inner')
    finally:
        print('f')
except ValueError as e:
    print(repr(e), e.args)

try:
    raise ValueError('a')
except ValueError as e:
    raise KeyError('b') from e

def f():
    try:
        return 'try'
    finally:
        print('finally')
f()

for i in range(3):
    try:
        if i == 1: continue
        print(10 // (2 - i))
    except ZeroDivisionError:
        print('zero')

try:
    undefined_thing
except NameError as e:
    print('name', e)

try:
    undefined_thing
except Exception as e:
    print(type(e), e)

try:
    import os
except Exception as e:
    print('no', 'os' in str(e))

try:
    raise Exception
except Exception as e:
    print(e, repr(e))

try:
    1 / 0
except:
    print('bare')

try:
    1 / 0
except Exception as e:
    raise

try:
    assert 0, 'm'
except AssertionError as e:
    print(e)
"""

STANDARD_MODULES = r"""
import math
math.pi, math.comb($m, $n), math.log2($m), math.isclose(0.1 + 0.2, 0.3), math.prod($ints), math.inf

from math import *
sqrt(16), factorial($n), hypot(3, 4)

import math as m, statistics as st
m.floor($x), st.mean($ints), st.median($ints), st.stdev($ints), st.mode([1, 1, 2])

import statistics
print(statistics.NormalDist(0, 1).cdf(1.5))
statistics.linear_regression([1, 2, 3], [2, 4, 6]), statistics.quantiles($ints)

import datetime
d = datetime.date(2024, 2, 29)
print(d, d.weekday(), d.strftime('%A %d %B %Y'))
d + datetime.timedelta(days=$m)

from datetime import datetime, timedelta, timezone
a = datetime(2020, 1, $n, 12)
b = a + timedelta(hours=$m)
b - a, b.isoformat(), str(b), a.replace(tzinfo=timezone.utc)

from datetime import datetime
datetime.strptime('2021-0$n-15', '%Y-%m-%d').strftime('%d %b %y')

import datetime
datetime.datetime.strptime('$w', '%Y')

from datetime import datetime
datetime.fromisoformat('2020-02-0$n'), datetime.fromisoformat('nope')

import time
time.strptime('30 Nov 00', '%d %b %y')

import time
time.gmtime(0), time.strftime('%Y', time.gmtime($m * 10 ** 7)), time.sleep(0.001)

import re
print(re.findall(r'\d+', 'a1 b$m'), re.sub('a', '$n', 'banana'))
re.match('x', 'y'), re.split('[, ]+', 'a, b c')

import re
m = re.search(r'(?P<key>\w+)=(\d+)', 'n=$m')
m.group(0), m.group('key'), m.groups(), m.groupdict(), m

import re
re.compile('(')

import itertools
print(list(itertools.combinations($ints, 2))[:4], list(itertools.permutations('ab')))
list(itertools.accumulate($ints)), list(itertools.chain([1], 'b'))

from itertools import product, groupby, islice, count
list(product('ab', repeat=2)), [(k, list(g)) for k, g in groupby('aab')], list(islice(count($n), 3))

import collections
print(collections.Counter($ints).most_common(2), collections.OrderedDict(a=$n))
collections.ChainMap({'a': 1}, {'b': 2})

import random
random.seed($n)
print(random.randint(1, 100), random.random(), random.sample(range(50), 3))
random.choice('abc'), random.gauss(0, 1)

import random
r = random.Random($n)
xs = list(range(9))
r.shuffle(xs)
xs, r.uniform(1, 2), r.choices('ab', k=3)

import queue
q = queue.Queue()
q.put($n)
q.put('$w')
q.get(), q.qsize(), q.empty()

import unicodedata
unicodedata.normalize('NFD', 'é'), unicodedata.name('é'), unicodedata.category('$n')

import stat
stat.S_ISDIR(0o40755), stat.filemode(0o100644)

import math
math.sqrt(-$n)

import math
math
"""

TOOL_CALLS = r"""
search('$w')

search(query='$w')

search(query='$w', limit=$n)

search('$w', $n)

search({'query': '$w'})

search({'query': '$w', 'limit': 1})

search({'wrong': '$w'})

search()

search('a', 'b', 'c')

search(text='$w')

search($n)

search(None)

print(search('$w').upper(), len(search('$w')), search('$v') + '!')

count('$w') + $n, count({'text': '$w'}) * 2, count(text='$v') / 3

parts = split('a $w b')
parts.append($n)
parts[0], parts, split('')

r = record('$w')
r['new'] = $n
sorted(r), r['name'], r['tags'], r['nested'][1], r['at'], r['none'], r

a, b = pair($n, '$w')
print(a, b, type(pair(1, 2)))
pair(b='x', a='y')

print(nothing())
x = nothing()
x is None, x

s = styled('$w')
print(s, s.upper(), s + 'x', isinstance(s, str), f'{s:>9}', [s])
s

echo([1, ('$w', {2: None}), {3}, 1.5, True, b'x', 2j])

echo({'a': $n, 'b': [1, 2]}), echo(value='$w'), echo({'value': $n})

echo('é 漢 \n \\ " \' <b>') == 'é 漢 \n \\ " \' <b>'

echo(float('inf')), echo(-0.0), echo(10 ** 40), echo(''), echo([])

xs = $ints
ys = echo(xs)
ys == xs, sorted(ys), ys

print([count(w) for w in $words], {w: count(w) for w in ['a', 'bb']})
list(map(count, ['a', 'bb'])), sorted(['aaa', 'b'], key=count)

for i in range($n):
    print(i, search('page %d' % i))

def find(q, f=search):
    return f(q).split()[0]
find('$w'), [f('$v') for f in (search, count)]

def loud(q):
    return shout(search(q), times=2)
loud('$w')

shout('$w'), shout(text='$v', times=$n), shout()

doubled($n), doubled('$w'), gcd($m, $n), list(map(doubled, [1, 2]))

doubled()

gcd('a', 2)

f = search
f('$w')

callable(search), search.nope

result = search('$w')
if 'nothing' in result:
    final_answer('none')
else:
    final_answer(result)

fail('value')

fail('key')

fail('quota')

fail('os')

fail('file')

fail('type')

fail('index')

fail('empty')

fail('lines')

fail('zero')

fail('unicode')

fail('timeout')

fail('stop')

fail('interpreter')

fail('none of these')

print('a')
fail('value')
print('b')

try:
    fail('value')
except ValueError as e:
    print('caught', e, e.args, repr(e))

try:
    fail('value')
except Exception as e:
    print(type(e), isinstance(e, ValueError))

try:
    fail('key')
except KeyError as e:
    print('caught', e, e.args, repr(e), str(e))

try:
    fail('key')
except LookupError as e:
    print(e.args[0])

try:
    fail('quota')
except ValueError:
    print('no')
except Exception as e:
    print('caught', e, repr(e), e.args)

try:
    fail('os')
except OSError as e:
    print('caught', e, e.errno, e.strerror, e.args)

try:
    fail('file')
except FileNotFoundError as e:
    print(e, e.filename)

try:
    fail('quota value')
except ValueError as e:
    print('caught', e)

try:
    fail('stop')
except StopIteration as e:
    print(e, e.value)

try:
    fail('empty')
except Exception as e:
    print(repr(e), str(e) == '', e.args)

try:
    fail('two')
except RuntimeError as e:
    print(e, e.args, len(e.args))

try:
    search()
except TypeError as e:
    print('wrong arguments:', e)

results = []
for kind in ['value', 'none', 'key', 'os']:
    try:
        fail(kind)
    except (ValueError, OSError) as e:
        results.append(str(e))
    except KeyError:
        results.append('key')
results

try:
    fail('key')
finally:
    print('always')
"""

FINAL_ANSWERS = r"""
final_answer($n)

final_answer('$w')

final_answer(answer='$w')

final_answer({'answer': $n})

final_answer({'answer': $n, 'more': 1})

final_answer({'result': $n})

final_answer({})

final_answer()

final_answer(1, 2)

final_answer(result=$n)

final_answer('$w', confidence=$x)

final_answer(answer=1, other=2)

final_answer(*[$n])

final_answer(**{'answer': $n})

final_answer(None)

final_answer(True)

final_answer($x)

final_answer($ints)

final_answer(('$w', $n))

final_answer({'a': [1, {'b': ($n, None)}]})

final_answer({1: 2, (3,): '$w'})

final_answer({$n, 1})

final_answer(frozenset([$n]))

final_answer(b'$n')

final_answer(range($n))

final_answer(float('nan'))

final_answer(1e22), 1 / 0

final_answer(int)

final_answer('x' * 5000)

final_answer(list(range(3000)))

final_answer('line one\nline two $w')

final_answer(f'{$x:.1f} km')

print('a')
final_answer('$w')
print('b')

for i in range(5):
    print(i)
    if i == 2:
        final_answer(i)

while True:
    final_answer('$w')

try:
    final_answer($n)
except Exception as e:
    print('caught', e)
finally:
    print('end')

try:
    final_answer($n)
except:
    print('caught')

try:
    final_answer()
except TypeError as e:
    print('told:', e)

def f():
    final_answer('$w')
    return 1
f()

[final_answer(i) for i in range(3)]

final_answer(final_answer($n))

x = final_answer($n) + 1

list(map(final_answer, [$n]))

(lambda: final_answer('$w'))()

final_answer(search('$w'))

final_answer(styled('$w'))

final_answer(record('$w'))

final_answer(fail('value'))

final_answer(undefined_$n)

final_answer(1 / 0)

final_answer = $n
final_answer

class A:
    def __init__(self, n): self.n = n
    def __str__(self): return f'A is {self.n}'
final_answer(A($n))

class A:
    def __repr__(self): return 'A!'
final_answer([A(), {'a': A()}])

class A(str):
    pass
final_answer(A('$w'))

class A(int):
    pass
final_answer(A($n))

import datetime
final_answer(datetime.date(2020, 1, $n))

from collections import Counter
final_answer(Counter('abca'))
"""

NUMPY = r"""
import numpy as np
a = np.array($ints)
print(a, a.mean(), a.sum(), a.shape, a.dtype)
a * 2

import numpy as np
np.arange($n).reshape(1, -1), np.linspace(0, 1, 3), np.zeros((2, 2)), np.eye(2)

import numpy as np
np.array([[1, 2], [3, $n]]) @ np.array([1, 1]), np.dot([1, 2], [3, 4])

import numpy as np
np.linalg.det(np.array([[1.0, 2], [3, $n]])).round(6), np.linalg.solve([[2, 0], [0, 4]], [1, $n])

import numpy as np
np.array([1, 2]) + np.array([1, 2, 3])

import numpy as np
np.array([1, 2])[$m]

import numpy as np
np.strings.upper(np.array(['a'])), np.rec.array([(1, 2.0)]).f0, np.char.add(['a'], ['b'])

import numpy as np
np.testing.assert_allclose([1.0], [1.0 + 1e-9])

import numpy as np
np.not_there

import numpy as np
np.linalg.inv(np.zeros((2, 2)))

import numpy as np
x = np.float64($x)
print(x, [x], round(x, 1), type(x))
x

import numpy as np
np.int64($n), np.bool_(True), np.str_('$w'), np.array(['a', '$w']), np.nan

import numpy as np
final_answer(np.array($ints))

import numpy as np
final_answer(np.mean($ints))

import numpy as np
final_answer(np.int64($n))

import numpy as np
final_answer({'m': np.float64($x), 'a': np.array([1])})

import numpy as np
final_answer([np.int64($n), 2])

import numpy as np
rng = np.random.default_rng($n)
rng.integers(0, 9, 3), rng.normal(), rng.choice([1, 2, 3])

import numpy as np
np.random.seed($n)
np.random.rand(2), np.random.randint(0, 9, 4), np.random.permutation(4)

import numpy as np
a = np.arange(12).reshape(3, 4)
a[1:, ::2], a[a > 5], a.T.shape, a.max(axis=0), np.where(a > 9)

import numpy as np
print(np.array($ints).std(), np.percentile($ints, 50))
np.cumsum($ints), np.sort($ints), np.unique([3, 1, 3])

import numpy as np
np.array([1.0]) / 0, np.log(np.array([-1.0]))

import numpy as np
with np.errstate(all='raise'):
    np.array([1.0]) / 0

import numpy as np
np.polyfit([1, 2, 3], [2, 4, 6], 1).round(3), np.roots([1, -3, 2]), np.poly1d([1, 2])($n)

import numpy as np
np.fft.fft([1, 2, 3, 4]), np.convolve([1, 2], [1, 1]), np.einsum('ij,jk', np.eye(2), np.eye(2))

import numpy as np
np.datetime64('2020-01-01') + np.timedelta64($n, 'D'), np.busday_count('2020-01', '2020-02')

import numpy as np
np.char.upper(['a', 'b']), np.ma.array([1, 2], mask=[0, 1]), np.vectorize(lambda v: v + $n)([1, 2])

import numpy as np
print(np.histogram($ints, bins=3), np.meshgrid([1, 2], [3]))
np.gradient([1.0, 4, 9]), np.interp(1.5, [1, 2], [3, 4])

import numpy as np
with np.printoptions(precision=2):
    print(np.array([$x, 1 / 3]))

import numpy as np
print(np.arange(5000))
np.arange(2000).tolist()[-1], np.array([[1, 'a'], [None, 2.5]], dtype=object)

import numpy.linalg as la
la.norm([3, 4])

from numpy import array, pi
array([pi, $n])

from numpy.linalg import norm
norm([3, 4])

import numpy as np
np.load('x.npy')

import numpy as np
print(np.random.default_rng($n).multivariate_normal([0, 0], np.eye(2)).shape)
np.linalg.eig(np.diag([1.0, 2]))[0], np.linalg.svd(np.eye(2))[1]

import numpy as np
count(np.str_('abc')), search(str(np.int64($n)))
"""

SYMPY = r"""
import sympy as sp
x = sp.symbols('x')
sp.solve(x ** 2 - $n * x + 2, x)

from sympy import *
x, y = symbols('x y')
solve([x + y - $m, x - y - $n], [x, y])

import sympy as sp
final_answer(sp.Rational($n, $m))

import sympy as sp
final_answer(sp.Integer($n))

import sympy as sp
final_answer(sp.sqrt($m))

import sympy as sp
final_answer(sp.Float($x))

import sympy as sp
final_answer([sp.Integer($n), sp.pi])

import sympy as sp
final_answer({sp.Integer(1): sp.Symbol('$w')})

from sympy import symbols, integrate, diff, limit, oo, sin, exp
x = symbols('x')
integrate(x ** $n, x), diff(sin(x) ** 2, x), limit(sin(x) / x, x, 0), integrate(exp(-x), (x, 0, oo))

from sympy import *
factorint($m * 60), isprime($m), divisors($m), gcd($m, 60), lcm($n, 4), totient($m), nextprime($m)

from sympy import *
x = Symbol('x')
print(expand((x + $n) ** 3), factor(x ** 2 - $n ** 2))
simplify((x ** 2 - 1) / (x - 1)), apart(1 / (x * (x + 1)))

from sympy import Matrix
M = Matrix([[1, 2], [3, $n]])
M.det(), M.rank(), M.eigenvals(), M.T, M * M

from sympy import *
x = symbols('x', positive=True)
sqrt(x ** 2), N(pi, 15), pi.evalf(8), latex(x / 2), nsimplify(0.25), Rational('1/3')

from sympy import *
x = symbols('x')
series(exp(x), x, 0, 4), summation(x, (x, 1, $m)), product(x, (x, 1, 5)), Sum(x, (x, 1, 3)).doit()

from sympy import *
n = symbols('n', integer=True)
solveset(n ** 2 - 4, n), Interval(0, $n), Eq(n, 3), Piecewise((1, n > 0), (0, True))

from sympy import *
x = symbols('x')
print(nsolve(cos(x) - x, x, 1), lambdify(x, x ** 2)($n))
Poly(x ** 2 - 2).nroots(), solve(x ** 4 - 5 * x ** 2 + 4, x)

from sympy import *
x, y = symbols('x y')
(x + y).subs({x: $n, y: 1}), (x * y).free_symbols == {x, y}, x ** 2 > 1, solve(x ** 2 < 9, x)

from sympy import *
f = Function('f')
x = symbols('x')
dsolve(f(x).diff(x) - f(x), f(x))

from sympy import Interval, symbols, satisfiable, ask, refine, Q
x, y = symbols('x y')
print(Interval(0, 1) + Interval(1, $n), ask(Q.positive(x), Q.positive(x)))
satisfiable(x & ~x), satisfiable(x), refine(abs(x), Q.positive(x))

from sympy import Matrix, symbols, ccode, mathml, hessian
x, n = symbols('x n')
print(Matrix([[1, 1], [1, 0]]) ** $m, ccode(x ** 2), hessian(x ** 3, [x]))
Matrix([[1, 1], [1, 0]]) ** n

from sympy import Interval, Union, Derivative, Array, symbols, galois_group, Poly
x = symbols('x')
print(Interval(1, 2) * Interval(0, $n), Array([x, x ** 2]).diff(x), Poly(x ** 3 - 2, x).discriminant())
galois_group(x ** 3 - 2)

import sympy
sympy.not_there

import sympy
sympy.sqrt('x +')

from sympy import symbols
x = symbols('x')
if x > 0:
    print('?')

from sympy.solvers import solve

from sympy import pprint, pretty, symbols
print(pretty(symbols('x') ** 2 / 3))

from sympy import diophantine, symbols
x, y = symbols('x y', integer=True)
len(diophantine(x ** 2 + y ** 2 - 25))

from sympy import binomial, factorial, fibonacci, bernoulli, harmonic, zoo, S
binomial($m, $n), factorial($n), fibonacci($m), bernoulli($n), harmonic(4), 1 / S(0)

from sympy import Point, Circle, Line, Triangle, Polygon
print(Line(Point(0, 0), Point(1, 1)).intersection(Circle(Point(0, 0), $n)))
Polygon((0, 0), (4, 0), (4, 3)).area

from sympy import mod_inverse, symbols, rsolve, Function, discrete_log, sqrt_mod
mod_inverse(3, 11), sqrt_mod(4, 7), discrete_log(41, 15, 7)

from sympy import fourier_transform, laplace_transform, symbols, exp
t, s = symbols('t s', positive=True)
laplace_transform(exp(-t), t, s)

from sympy import trigsimp, sin, cos, symbols, asin, tan, rad, deg
x = symbols('x')
trigsimp(sin(x) ** 2 + cos(x) ** 2), asin(1), deg(rad($m))

from sympy import linsolve, nonlinsolve, groebner, resultant, symbols
x, y = symbols('x y')
print(linsolve([x + y - 2, x - y], x, y), nonlinsolve([x * y - 1, x - 2], x, y))
groebner([x * y - 1, x - y], x, y).exprs
"""

SUBMODULES = r"""
from numpy.linalg import norm, matrix_rank
norm([3, 4]), matrix_rank([[1, 0], [0, 1]])

from numpy.polynomial import Polynomial
Polynomial([1, 2, $n])(2), Polynomial([1, 2]).roots()

from sympy.abc import x, y
from sympy.solvers import solve
solve(x ** 2 - $n ** 2, x)

from sympy.ntheory import factorint, isprime, primerange
factorint($m), isprime($m), list(primerange(1, $m))[:3]

from sympy.stats import Die, E, P, variance
D = Die('D', 6)
E(D), P(D > 4), variance(D)

from sympy.geometry import Point, Triangle
t = Triangle(Point(0, 0), Point($n, 0), Point(0, 3))
t.area, t.is_right()

from sympy.parsing.sympy_parser import parse_expr
parse_expr('2*x + $n').diff('x')

from sympy.combinatorics import Permutation
Permutation([1, 0, 2]).order()

from sympy.physics.units import meter, convert_to, kilometer
convert_to($n * kilometer, meter)

from sympy.logic import satisfiable
from sympy.abc import a, b
satisfiable(a & ~a), (a | b).subs(a, True)

from sympy.matrices import Matrix
Matrix([[1, 2], [3, $n]]).inv()

from sympy.functions.combinatorial.numbers import catalan
catalan($n)
"""

# What a text block cannot hold.
ODD = [
    "",
    "text = '''one\ntwo $w\n\tthree'''\ntext.splitlines(), text.title(), text.find('two')",
    "for i in range(3):\n\tx = 1\n        y = 2",
    "x = 1\r\nprint(x)\r\n",
    "x = '\x00'",
    "hidden = 'é\u200b'\n\u200bx = 1",
    "+".join(["1"] * 60),
    "[" * 40 + "]" * 40,
    "(" * 250 + ")" * 250,
]

WRITTEN: dict[tuple[str, ...], list[str]] = {
    (): [
        STORIES, NUMBERS, STRINGS, CONTAINERS, COMPREHENSIONS, CONTROL_FLOW, FUNCTIONS, CLASSES, ERRORS,
        SYNTAX_ERRORS, FORBIDDEN, RARE_SYNTAX, TRY, STANDARD_MODULES, TOOL_CALLS, FINAL_ANSWERS,
    ],
    ("numpy", "sympy"): [NUMPY, SYMPY],
    ("numpy.*", "sympy.*"): [SUBMODULES],
}  # fmt: skip
"""By the imports they need. Where a snippet fails, that is what it is for."""
