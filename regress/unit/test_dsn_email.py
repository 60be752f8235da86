#!/usr/bin/env python3
"""Reads delivery reports with the email package of Python: another's opinion
on whether they are what RFC 3464 describes."""
import email
import email.policy
import subprocess
import sys

FAILED = 0


def check(what, ok):
    global FAILED
    if not ok:
        FAILED = 1
        print('not ok - ' + what)


def report(name):
    raw = subprocess.run(['regress/unit/test_dsn', 'emit', name], check=True,
                         stdout=subprocess.PIPE).stdout
    return email.message_from_bytes(raw, policy=email.policy.SMTP)


def examine(name, status_type, original_type):
    m = report(name)
    walk = [m] + [p for p in m.walk() if p is not m]
    check(name + ': no defects', not any(p.defects for p in walk))
    check(name + ': type', m.get_content_type() == 'multipart/report')
    check(name + ': report-type',
          m.get_param('report-type') == 'delivery-status')
    check(name + ': auto-submitted', m['auto-submitted'] == 'auto-replied')
    human, status, original = m.get_payload()
    check(name + ': human', human.get_content_type() == 'text/plain')
    check(name + ': words', 'could not be delivered' in human.get_content())
    check(name + ': status', status.get_content_type() == status_type)
    check(name + ': original',
          original.get_content_type() == original_type)
    if status_type == 'message/delivery-status':
        groups = status.get_payload()
        check(name + ': three groups', len(groups) == 3)
        check(name + ': reporting',
              groups[0]['reporting-mta'] == 'dns; mx.example.net')
        check(name + ': actions',
              [g['action'] for g in groups[1:]] == ['failed', 'failed'])
        check(name + ': states',
              [g['status'] for g in groups[1:]] == ['5.1.1', '5.4.1'])
    if original_type == 'message/rfc822':
        inner = original.get_payload()[0]
        check(name + ': inner', inner['to'] == 'b@example.org')
        check(name + ': body', 'The body.' in inner.get_payload())
    elif original_type == 'text/rfc822-headers':
        check(name + ': header only',
              'The body.' not in original.get_content())


examine('full', 'message/delivery-status', 'message/rfc822')
examine('headers', 'message/delivery-status', 'text/rfc822-headers')
examine('utf8', 'message/global-delivery-status', 'message/global')
sys.exit(FAILED)
