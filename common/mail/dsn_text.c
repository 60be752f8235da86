/*
 * The words of delivery reports; see dsn_text.h.
 */
#include <string.h>

#include "mail/dsn_text.h"

static const char *const subjects[DSN_KINDS] = {
	[DSN_KIND_FAILURE] = "Your message could not be delivered",
	[DSN_KIND_DELAY] = "Your message is delayed",
	[DSN_KIND_SUCCESS] = "Your message has been delivered",
};

static const char *const openings[DSN_KINDS] = {
	[DSN_KIND_FAILURE] =
	    ("Your message could not be delivered to the recipients below. "
	     "As far as is known they have not received it, and it will not "
	     "be tried again. "
	     "Where something can be done about it, it is said below; then "
	     "send the message again."),
	[DSN_KIND_DELAY] =
	    ("Your message has not reached the recipients below yet. You need "
	     "not do anything and should not send it again: it is tried "
	     "again by itself, and you will be told if it fails for good."),
	[DSN_KIND_SUCCESS] =
	    ("You asked to be told what becomes of your message. This is a "
	     "receipt; nothing is wrong and you need not do anything."),
};

/* Codes that say more than their class, of servers without RFC 2034. 450, 550,
 * 552 and 553 stand for a policy or a full mailbox as often as for the address
 * or the size, so they are left as they are: a list takes off whom a 5.1.1
 * names. */
static const struct {
	unsigned code;
	const char *status;
} meanings[] = {
	{ 421, "4.3.2" },
	{ 451, "4.3.0" },
	{ 452, "4.3.1" },
	{ 556, "5.1.10" },
};

/* By subject and detail of a failure; the first that fits. A pattern ends in
 * "." to stand for every detail. */
static const struct {
	const char *code;
	const char *text;
} advices[] = {
	{ "1.1",
	    "There is no such mailbox. Check the part of the address "
	    "before the @ for a typing error, or ask the recipient for the "
	    "right address by other means." },
	{ "1.2",
	    "The domain of this address does not exist or takes no "
	    "mail. Check the part of the address after the @." },
	{ "1.3",
	    "The address is not written correctly. Check it for stray "
	    "characters." },
	{ "1.6",
	    "The recipient has moved and left no new address. Ask for "
	    "it by other means." },
	{ "1.10",
	    "The domain of this address takes no mail. Check the part "
	    "of the address after the @." },
	{ "1.",
	    "The receiving system did not take one of the addresses. "
	    "Check the recipient's address." },
	{ "2.1",
	    "This mailbox is closed at present and takes no mail. Reach "
	    "the recipient by other means." },
	{ "2.2",
	    "The recipient's mailbox is full. Tell the recipient by "
	    "other means, and send the message again later." },
	{ "2.3",
	    "The message is larger than this recipient accepts. Send "
	    "it without large attachments, or share them another way." },
	{ "2.",
	    "The recipient's mailbox could not take the message. Try "
	    "again later, or reach the recipient by other means." },
	{ "3.4",
	    "The message is larger than the receiving system accepts. "
	    "Send it without large attachments, or share them another "
	    "way." },
	{ "3.",
	    "The receiving system could not take the message. Try again "
	    "later." },
	{ "4.1",
	    "The receiving system did not answer for as long as the "
	    "message was kept. Check the part of the address after the @, "
	    "and try again later." },
	{ "4.4",
	    "No way to the receiving system could be found. Check the "
	    "part of the address after the @." },
	{ "4.6",
	    "The message went in a circle between mail systems. Send "
	    "this report to the operator of the recipient's system." },
	{ "4.7",
	    "The message could not be delivered within the time that "
	    "it is kept here. Try again later, or reach the recipient by "
	    "other means." },
	{ "4.",
	    "The receiving system could not be reached for as long as "
	    "the message was kept. Try again later." },
	{ "5.3",
	    "The message has too many recipients. Send it to fewer at "
	    "a time." },
	{ "5.",
	    "The two mail systems did not understand each other. Show "
	    "this report to your operator." },
	{ "6.7",
	    "The address or the message needs international mail, "
	    "which a system on the way does not offer. Ask the recipient "
	    "for another address." },
	{ "6.",
	    "The receiving system could not take a message in this "
	    "form. Send it as plain text." },
	{ "7.",
	    "The receiving system refused the message by its rules. "
	    "Its answer may say why; if you think it is wrong, reach the "
	    "recipient or their operator by other means." },
};

static const char *const action_texts[DSN_ACTIONS] = {
	[DSN_FAILED] = "The message could not be delivered.",
	[DSN_DELAYED] = "The message has not been delivered yet.",
	[DSN_DELIVERED] = "The message was delivered to this address.",
	[DSN_RELAYED] =
	    "The message was handed on to the next system, which "
	    "does not send receipts: you may hear nothing more of it.",
	[DSN_EXPANDED] =
	    "The address stands for several recipients, and the "
	    "message was sent on to them. You will not be told of each.",
};

const char *
dsn_text_subject(const struct dsn_report *r)
{
	size_t i;

	if (r->kind != DSN_KIND_SUCCESS)
		return subjects[r->kind];
	for (i = 0; i < r->nrcpts; i++)
		if (r->rcpts[i].action != DSN_DELIVERED)
			return "Your message has been sent on";
	return subjects[r->kind];
}

const char *
dsn_text_opening(const struct dsn_report *r)
{
	return openings[r->kind];
}

const char *
dsn_text_status(const struct dsn_rcpt *rcpt)
{
	if (rcpt->status == NULL || strlen(rcpt->status) < 2 ||
	    strcmp(rcpt->status + 1, ".0.0") != 0)
		return rcpt->status;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == rcpt->code)
			return meanings[i].status;
	return rcpt->status;
}

const char *
dsn_text_advice(const struct dsn_rcpt *rcpt)
{
	const char *code = dsn_text_status(rcpt), *want;
	size_t i, n;

	if (rcpt->action != DSN_FAILED || code == NULL || strlen(code) < 5)
		return action_texts[rcpt->action];
	code += 2;
	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		want = advices[i].code;
		n = strlen(want);
		if (want[n - 1] == '.' ? strncmp(code, want, n) == 0
				       : strcmp(code, want) == 0)
			return advices[i].text;
	}
	return action_texts[rcpt->action];
}
