"""What a header declares, piece by piece, and which pieces others use.

regress/fuzz/linked.py calls it: a new enumerator changes no program that does
not know its enumeration. Where it is in doubt what a piece declares, each word
of it counts as declared, so a piece may be taken for used, never for unused.
"""
import re

WORD = re.compile(r'\b[A-Za-z_]\w*')
CALL = re.compile(r'\b([A-Za-z_]\w*) ?\(')
KEYWORDS = frozenset(
    'auto break case char const continue default do double else enum extern '
    'float for goto if inline int long register return short signed sizeof '
    'static struct switch typedef union unsigned void volatile while bool '
    'size_t ssize_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t '
    'uint64_t'.split())


def words(text):
    return set(WORD.findall(text)) - KEYWORDS


def is_whole(text):
    """Names may be pasted together, or made from a table."""
    return '##' in text or re.search(r'#[ \t]*include.*\.tbl"', text)


def is_body(text):
    """Whether what begins with this brace is a function's body."""
    return text.rstrip().endswith(')')


def pieces(text):
    """Directives, each a piece, and declarations up to their end."""
    piece, depth, body = '', 0, False
    for line in re.findall(r'(?:\\\n|[^\n])*\n?', text):
        if line.lstrip().startswith('#') and not depth:
            yield line
            continue
        for part in re.findall(r'[{};]|[^{};]+', line):
            if part == '{' and not depth:
                body = is_body(piece)
            piece += part
            depth += (part == '{') - (part == '}')
            if not depth and (part == ';' or part == '}' and body):
                yield piece
                piece, body = '', False
    yield piece


def declares(piece):
    """The names that a piece declares; None if it always counts."""
    if piece.lstrip().startswith('#'):
        macro = re.match(r'\s*#[ \t]*define[ \t]+(\w+)', piece)
        return {macro[1]} if macro else None
    head, brace, rest = piece.partition('{')
    if brace and not is_body(head):
        inner, _, after = rest.rpartition('}')
        if re.search(r'\benum\b', head + inner):
            after += inner
        return words(head) | words(after)
    calls = set(CALL.findall(head)) - KEYWORDS - {'__attribute__'}
    if not calls or any(x.isupper() for x in calls):
        return words(piece)
    return calls


def used(texts, headers):
    """Of the headers, by name, the pieces that the texts use, or that those
    use."""
    known, left = set().union(*map(words, texts)), []
    kept = {name: [] for name in headers}
    for name, text in headers.items():
        for n, piece in enumerate([text] if is_whole(text) else pieces(text)):
            left.append((name, n, piece,
                         None if is_whole(piece) else declares(piece)))
    grown = True
    while grown:
        grown, rest = False, []
        for name, n, piece, names in left:
            if names is None or names & known:
                known |= words(piece)
                kept[name].append((n, piece))
                grown = True
            else:
                rest.append((name, n, piece, names))
        left = rest
    return {name: ''.join(x[1] for x in sorted(found))
            for name, found in kept.items()}
