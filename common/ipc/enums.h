/*
 * The small vocabularies that messages carry as numbers. A value outside its
 * range is a malformed message: the receiver checks with the _MAX of each.
 */
#ifndef IPC_ENUMS_H
#define IPC_ENUMS_H

/* Who sits at the other end of a channel. */
enum process_kind {
	PROC_MASTER,
	PROC_SMTPD,
	PROC_QUEUE,
	PROC_DELIVER,
	PROC_AUTH,
	PROC_KEYS,
	PROC_RESOLVER,
	PROC_LOCAL, /* one local delivery, as the recipient */
	PROC_CONTROL, /* an smtpctl at the control socket */
	PROC_MAX
};

/* The name of a process as logs and files have it. */
const char *process_name(enum process_kind);

/* etrn_done.count: no backup action has the domain; it cannot be said now */
#define ETRN_REFUSED 0xffffffffu
#define ETRN_UNABLE 0xfffffffeu

/* The exit status with which smtpctl says to master that mail of the drop
 * folder is over and somebody was refused it: none that a shell, sysexits.h or
 * a sanitizer has. */
#define DROP_REFUSED 99

/* dns_answer.status */
enum dns_status {
	DNS_OK,
	DNS_NODATA,
	DNS_NXDOMAIN,
	DNS_TEMPFAIL,
	DNS_STATUS_MAX
};

/* sasl_reply.status and client_sasl_reply.status */
enum sasl_status {
	SASL_CONTINUE, /* a challenge, or a response, is to be sent */
	SASL_OK,
	SASL_DENIED,
	SASL_TEMPFAIL,
	SASL_MALFORMED,
	SASL_UNSUPPORTED,
	SASL_STATUS_MAX
};

/* user_answer.status, table_answer.status, sender_verdict.status */
enum lookup_status {
	LOOKUP_FOUND,
	LOOKUP_NONE,
	LOOKUP_TEMPFAIL,
	LOOKUP_STATUS_MAX
};

/* rcpt_check.flags and what submit records of the session */
enum session_flag {
	SESSION_LOCAL = 1 << 0, /* through the control socket, user known */
	SESSION_SOCKET = 1 << 1, /* through a listening local socket */
	SESSION_TLS = 1 << 2,
	SESSION_TLS_VERIFIED = 1 << 3,
	SESSION_AUTH = 1 << 4,
	SESSION_FCRDNS = 1 << 5, /* client_name was confirmed forward */
	SESSION_RCPT_UTF8 = 1 << 6,
	SESSION_INSIDE = 1 << 7, /* from an address of this machine */
	/* The DNS does not say for now what the client is called or, where
	 * client_name is there, whether it is confirmed. */
	SESSION_NAME_OPEN = 1 << 8
};

/*
 * rcpt_verdict.reach: whom of the same transaction the verdict is good for.
 * The narrowest is 0, so whoever says nothing says little.
 */
enum rcpt_reach {
	REACH_RECIPIENT, /* the one that was asked about */
	REACH_DOMAIN, /* every recipient of the domain */
	REACH_ALL
};

/* submit.flags, transfer.flags */
enum mail_flag {
	MAIL_8BIT = 1 << 0, /* BODY=8BITMIME, or 8-bit octets were seen */
	MAIL_BINARY = 1 << 1, /* BODY=BINARYMIME */
	MAIL_UTF8 = 1 << 2, /* SMTPUTF8 was asked for */
	MAIL_AUTHENTICATED = 1 << 3,
	MAIL_LOCAL = 1 << 4,
	MAIL_TLS = 1 << 5,
	MAIL_DSN = 1 << 6, /* built by the queue itself */
	MAIL_KNOWN = 1 << 7, /* from a source that a rule names */
	MAIL_8BIT_HEADER = 1 << 8 /* 8-bit octets were seen in the header */
};

/* RFC 3461 NOTIFY: rcpt_spec.notify, transfer_rcpt.notify */
enum smtp_notify {
	NOTIFY_UNSAID = 0,
	NOTIFY_NEVER = 1 << 0,
	NOTIFY_SUCCESS = 1 << 1,
	NOTIFY_FAILURE = 1 << 2,
	NOTIFY_DELAY = 1 << 3
};

/* RFC 3461 RET: submit.ret, transfer.ret */
enum smtp_ret { RET_UNSAID, RET_FULL, RET_HDRS, RET_MAX };

/* expand_dest.kind, local_delivery.kind */
enum dest_kind {
	DEST_RELAY, /* address, by a relay action */
	DEST_ADDRESS, /* address, to be matched by the rules again */
	DEST_USER, /* user's mailbox by the local action */
	DEST_COMMAND, /* alias:entry holds a command */
	DEST_FILE, /* alias:entry holds a file name */
	DEST_INCLUDE, /* alias:entry holds the name of a list file */
	DEST_ERROR, /* expand_dest only: address fails for good */
	DEST_MAX
};

/* local_delivery.entry of a DEST_USER, or the mark of an item of his .forward,
 * which is tried by itself (conf/alias_item.h) */
enum user_entry {
	ENTRY_FORWARD, /* his .forward tells where it goes */
	ENTRY_MAILBOX /* it has told: his mailbox */
};

/* local_result.kept, local_done.kept: what was done with the message besides
 * forwarding it */
enum kept_place {
	KEPT_NOTHING,
	KEPT_ELSEWHERE, /* a command or a file has it */
	KEPT_MAILBOX /* the user's mailbox has it, and perhaps they too */
};

/* callahead_done.status: what the primary says to a recipient */
enum callahead_status {
	CALLAHEAD_GOOD,
	CALLAHEAD_BAD, /* a 5xx to this recipient */
	CALLAHEAD_NONE, /* it could not be asked, or would not say */
	CALLAHEAD_STATUS_MAX
};

/* rcpt_result.status, local_done.status */
enum delivery_status {
	DELIVERY_OK,
	DELIVERY_TEMPFAIL,
	DELIVERY_PERMFAIL,
	DELIVERY_FORWARD, /* local_done only: go on to the forward addresses */
	DELIVERY_DAMAGED, /* the body is not what was stored: to be held */
	DELIVERY_STATUS_MAX
};

/* rcpt_result.hop: what took the message, and who reports a success */
enum hop_kind {
	HOP_DSN, /* it speaks DSN and reports itself */
	HOP_NO_DSN, /* it does not: the message is "relayed" */
	HOP_FINAL, /* a mailbox behind LMTP without DSN: "delivered" */
	HOP_MAX
};

/* transfer_done.route: what the attempt taught about the route */
enum route_status {
	ROUTE_OK, /* the destination answered and is fit for more */
	ROUTE_SLOW, /* it asks for fewer or later sessions (421, 4xx) */
	ROUTE_DOWN, /* no host of it could be reached */
	ROUTE_DNS, /* its hosts could not be looked up for now */
	ROUTE_TLS, /* the TLS that policy requires failed */
	ROUTE_BAD, /* it can never work: null MX, loop, no such domain */
	ROUTE_CANCELLED,
	/* it was reached, and the session ended over this message: 421 to it,
	 * or a break */
	ROUTE_BROKEN,
	ROUTE_STATUS_MAX
};

/* master_request.verb */
enum master_verb {
	MASTER_RELOAD, /* of all, if there is `table` or none is named */
	MASTER_ALIASES, /* the same, and what the tables of aliases hold */
	MASTER_STOP,
	MASTER_VERBOSE, /* argument: level */
	MASTER_TRACE, /* argument: mask */
	MASTER_VERB_MAX
};

/* A body over this many octets does not travel inside submit. */
#define BODY_INLINE 65536
/* Recipients of one submit, and so the most that a configuration may allow. */
#define SUBMIT_RCPTS_MAX 10000

#endif
