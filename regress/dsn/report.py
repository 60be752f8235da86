"""What the tests of delivery reports share: a relay whose senders have their
mailboxes at a sink of their own, and a reader that holds each report against
RFC 3461, 3464, 6522 and 6533 with Python's email package.
"""
import email
import email.policy
import email.utils
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', 'lib'))
from relais import Instance, Sink, wait_for  # noqa: E402

CONF = '''{settings}
listen on 127.0.0.1 port {port}
action "hop" relay host {hop_url}
action "home" relay host smtp://127.0.0.1:{home}
match from any for domain "hop.test" action "hop"
match from local for domain "home.test" action "home"
'''
SENDER = 'ann@home.test'
NO_DSN = tuple(x for x in Sink.EHLO if x != 'DSN')
BODY = 'Subject: original\r\nX-Mark: kept\r\n\r\nThe body.\r\n'
ACTIONS = ('failed', 'delayed', 'delivered', 'relayed', 'expanded')
MESSAGE_FIELDS = ('reporting-mta', 'original-envelope-id', 'arrival-date')
RCPT_FIELDS = ('original-recipient', 'final-recipient', 'action', 'status',
               'remote-mta', 'diagnostic-code', 'last-attempt-date',
               'will-retry-until')
SMTPUTF8 = email.policy.SMTPUTF8


class Report:
    """One report as it came to the sender's sink; `now` bounds its dates."""

    def __init__(self, got, sender=SENDER):
        self.raw = got['body']
        assert re.match(r'MAIL FROM:<>( |$)', got['mail']), got['mail']
        assert len(got['rcpt']) == 1, got['rcpt']
        assert got['rcpt'][0].startswith(f'RCPT TO:<{sender}>'), got['rcpt']
        assert 'NOTIFY' not in got['rcpt'][0] or \
            'NOTIFY=NEVER' in got['rcpt'][0], got['rcpt']
        self.check_octets()
        self.message = email.message_from_bytes(self.raw, policy=SMTPUTF8)
        self.check_header(sender)
        self.human, self.status, self.original = self.message.get_payload()
        self.is_global = self.status.get_content_type() == \
            'message/global-delivery-status'
        self.check_parts()
        self.fields, *self.rcpts = self.groups()
        self.check_fields()

    def check_octets(self):
        assert not re.search(rb'\r(?!\n)|(?<!\r)\n', self.raw), self.raw
        lines = self.raw.split(b'\r\n')
        assert max(map(len, lines)) <= 998
        own = self.raw.split(b'Content-Description: Message header')[0].split(
            b'Content-Description: Undelivered message')[0]
        assert not re.search(rb'[\0-\x08\x0b\x0c\x0e-\x1f\x7f]', own), own

    def check_header(self, sender):
        m = self.message
        assert not any(p.defects for p in m.walk()), \
            [p.defects for p in m.walk()]
        assert m['to'] == f'<{sender}>' or m['to'] == sender, m['to']
        assert 'MAILER-DAEMON@mx.test' in m['from'], m['from']
        assert m['auto-submitted'] == 'auto-replied'
        assert m['mime-version'] == '1.0'
        for name in ('date', 'from', 'to', 'subject', 'message-id'):
            assert len(m.get_all(name, [])) == 1, name
        assert re.fullmatch(r'<[^@<>\s]+@mx\.test>', m['message-id'])
        email.utils.parsedate_to_datetime(m['date'])
        assert m.get_content_type() == 'multipart/report'
        assert m.get_param('report-type') == 'delivery-status'

    def check_parts(self):
        kind = self.original.get_content_type()
        assert self.human.get_content_type() == 'text/plain'
        if self.is_global:
            assert kind in ('message/global', 'message/global-headers'), kind
            return
        assert self.status.get_content_type() == 'message/delivery-status'
        assert kind in ('message/rfc822', 'text/rfc822-headers'), kind
        before = self.raw.split(b'Content-Type: ' + kind.encode())[0]
        assert before.isascii(), before

    def groups(self):
        """The groups of fields, the first about the message."""
        if not self.is_global:
            return self.status.get_payload()
        text = self.raw.split(b'message/global-delivery-status', 1)[1]
        text = text.split(b'\r\n\r\n', 1)[1].split(b'\r\n--', 1)[0]
        return [email.message_from_bytes(x, policy=SMTPUTF8)
                for x in text.strip().split(b'\r\n\r\n')]

    def check_fields(self):
        allowed = [MESSAGE_FIELDS] + [RCPT_FIELDS] * len(self.rcpts)
        assert self.rcpts, self.raw
        for group, names in zip([self.fields, *self.rcpts], allowed):
            keys = [k.lower() for k in group.keys()]
            assert len(set(keys)) == len(keys) and set(keys) <= set(names), \
                keys
            for key in keys:
                if key.endswith(('-date', '-until')):
                    email.utils.parsedate_to_datetime(group[key])
        assert self.fields['reporting-mta'] == 'dns; mx.test'
        assert abs(seconds(self.fields['arrival-date']) - time.time()) < 60
        for r in self.rcpts:
            kind = {'failed': '45', 'delayed': '4'}.get(r['action'], '2')
            assert r['action'] in ACTIONS, r['action']
            assert re.fullmatch(rf'[{kind}]\.\d{{1,3}}\.\d{{1,3}}',
                                r['status']), r['status']
            assert re.match(r'(rfc822|utf-8); \S', r['final-recipient'])
            assert (r['action'] == 'delayed') == \
                (r['will-retry-until'] is not None), r.items()

    def about(self):
        """{final recipient: action}"""
        return {r['final-recipient'].split('; ', 1)[1]: r['action']
                for r in self.rcpts}

    def original_text(self):
        """What was returned of the original."""
        text = self.original.as_bytes(policy=SMTPUTF8)
        return text.split(b'\r\n\r\n', 1)[1]


def seconds(date):
    return email.utils.parsedate_to_datetime(date).timestamp()


class Post:
    """A relay, the next hop of hop.test, and the senders' home.test."""

    def __init__(self, settings='', ehlo=Sink.EHLO, lmtp=False,
                 make=Instance, conf=CONF, **kw):
        self.hop = Sink(ehlo=ehlo)
        self.home = Sink()
        self.seen = 0
        self.instance = make(conf, settings=settings, home=self.home.port,
                             hop_url=f'{"lmtp" if lmtp else "smtp"}://'
                                     f'127.0.0.1:{self.hop.port}', **kw)
        if kw.get('start', True):
            self.instance.awake()

    def submit(self, *rcpts, sender=SENDER, params='', body=BODY):
        """rcpts are addresses or pairs of an address and parameters."""
        c = self.instance.connect(timeout=30)
        c.expect('EHLO client.test', 250)
        c.expect(f'MAIL FROM:<{sender}>{params}', 250)
        for r in rcpts:
            address, words = (r, '') if isinstance(r, str) else r
            c.expect(f'RCPT TO:<{address}> {words}'.rstrip(), 250)
        c.expect('DATA', 354)
        c.send(body if isinstance(body, bytes) else body.encode())
        r = c.say('.')
        assert r.startswith('250'), r
        c.close()

    def is_empty(self):
        return not self.instance.smtpctl('show', 'queue').strip()

    def raw(self, count, seconds=30):
        """What came to the senders; exactly so many in the end. While a
        report is being written down the queue seems to be empty."""
        wait_for('all is reported', lambda: self.is_empty() and len(
            self.home.messages) >= self.seen + count, seconds, 0.1)
        new = self.home.messages[self.seen:]
        self.seen += len(new)
        assert len(new) == count, \
            f'{len(new)} reports, not {count}: {new}'[:4000]
        return new

    def reports(self, count, sender=SENDER, seconds=30):
        return [Report(x, sender) for x in self.raw(count, seconds)]

    def report(self, **kw):
        return self.reports(1, **kw)[0]

    def arrived(self, count):
        """The last messages of the next hop."""
        return self.hop.messages[-count:]

    def end(self):
        self.instance.stop()
        for sink in (self.hop, self.home):
            sink.stop()
