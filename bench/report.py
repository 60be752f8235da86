"""Prints what was measured as a table, and draws it."""

# figure: (title, unit, factor, more is better)
FIGURES = {
    'rate': ('rate', '/s', 1, True),
    'bytes': ('rate', 'MB/s', 1e-6, True),
    'cpu': ('CPU each', 'us', 1e6, False),
    'written': ('written each', 'KB', 1e-3, False),
    'read': ('read from the disk each', 'KB', 1e-3, False),
    'memory': ('memory (PSS)', 'MB', 1e-6, False),
    'source': ('CPU of the generator', 'us', 1e6, None),
    'resumed': ('sessions resumed', '%', 100, None),
    'p99': ('p99 of a message', 'ms', 1e3, False),
    'p999': ('p99.9 of a message', 'ms', 1e3, False),
    'first': ('first one out after', 's', 1, False),
    'each': ('memory of a session', 'KB', 1e-3, False),
    'held': ('sessions held', '', 1, True),
    'listing': ('listing the queue', 's', 1, False),
    'restart': ('220 after restart', 's', 1, False),
    'calls': ('system calls each', '', 1, False),
    'syncs': ('syncs each', '', 1, False),
    'page': ('the first page of it', 's', 1, False),
    'greeted': ('slowest 220 of 100 new ones', 'ms', 1e3, False),
    'rate_shallow': ('rate behind 1,000', '/s', 1, True),
    'rate_deep': ('rate behind 1,000,000 (peers 100,000)', '/s', 1, True),
    'cpu_shallow': ('CPU behind 1,000', 'us', 1e6, False),
    'cpu_deep': ('CPU behind 1,000,000 (peers 100,000)', 'us', 1e6, False),
    'lone': ('p99 alone', 'ms', 1e3, False),
    'beside': ('p99 beside the others', 'ms', 1e3, False),
}


def number(value):
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.3g}'


def ratio(ours, theirs, more):
    """How many times better ours is."""
    if not ours or not theirs or more is None:
        return ''
    times = ours / theirs if more else theirs / ours
    return f'{times:.1f}x'


def rows(results):
    """(scenario title, figure, {server: value}) in order."""
    for title, by_server in results.items():
        names = [f for f in FIGURES
                 if any(r and f in r for r in by_server.values())]
        for figure in names:
            yield title, figure, {s: r[figure] for s, r in by_server.items()
                                  if r and figure in r}


def cells(figure, values, names):
    """A figure of each server, with how many times better Relais is."""
    _, _, factor, more = FIGURES[figure]
    for n in names:
        if n not in values:
            yield '-'
            continue
        times = '' if n == 'Relais' else ratio(
            values.get('Relais'), values[n], more)
        yield number(values[n] * factor) + (f' ({times})' if times else '')


def label(figure):
    title, unit, _, _ = FIGURES[figure]
    return title + (', ' + unit if unit else '')


def table(results, names):
    lines, last = [], None
    head = f'{"":26}' + ''.join(f'{n:>20}' for n in names)
    for title, figure, values in rows(results):
        if title != last:
            lines += ['', title, head]
            last = title
        lines.append(f'  {label(figure):24}' + ''.join(
            f'{cell:>20}' for cell in cells(figure, values, names)))
    return '\n'.join(lines[1:])


def markdown(results, names):
    """The table of doc/performance.md."""
    lines, last = ['| | ' + ' | '.join(names) + ' |',
                   '|---' * (len(names) + 1) + '|'], None
    for title, figure, values in rows(results):
        if title != last:
            lines.append(f'| **{title}**' + ' |' * (len(names) + 1))
            last = title
        lines.append(f'| {label(figure)} | ' + ' | '.join(
            cells(figure, values, names)) + ' |')
    return '\n'.join(lines)


# ---- the picture ----------------------------------------------------------

COLOURS = ('#2a6f97', '#b0b7bf', '#ced3d8', '#8d969e', '#dfe3e6', '#f0e0c0')
WIDTH, LABEL, BAR, GAP = 900, 390, 15, 18


def escape(text):
    return text.replace('&', '&amp;').replace('<', '&lt;')


def svg(results, names, figures=('rate', 'bytes')):
    """Bars of the rates, a group a scenario, each group to its own scale."""
    out, y = [], 40
    for title, figure, values in rows(results):
        if figure not in figures or len(values) < 2:
            continue
        top = max(values.values())
        _, unit, factor, _ = FIGURES[figure]
        out.append(f'<text x="{LABEL - 12}" y="{y + 12}" '
                   f'text-anchor="end">{escape(title)}</text>')
        for n in names:
            if n not in values:
                continue
            width = (WIDTH - LABEL - 190) * values[n] / top
            colour = COLOURS[names.index(n) % len(COLOURS)]
            out.append(
                f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" '
                f'height="{BAR - 2}" fill="{colour}"/>'
                f'<text x="{LABEL + width + 6:.1f}" y="{y + 11}">{n} '
                f'{number(values[n] * factor)}{" " if unit[0] != "/" else ""}'
                f'{unit}</text>')
            y += BAR
        y += GAP
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{y}" viewBox="0 0 {WIDTH} {y}" '
            'font-family="sans-serif" font-size="11" fill="#333">\n'
            f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>\n'
            '<text x="12" y="20" font-size="14">Messages a second, one '
            'machine, one run; longer is better</text>\n')
    return head + '\n'.join(out) + '\n</svg>\n'
