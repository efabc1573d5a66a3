#!/bin/sh
# A mail for what matters: leakwatch --pattern apache2 --on-event 'examples/hooks/mail.sh root'
# Needs a sendmail, as Postfix, Exim, msmtp and nullmailer bring one. $1 is the recipient.
case $LEAKWATCH_EVENT in
    leak | order | outcome | not_ended | signal_failed | memory_failure) ;;
    *) exit 0 ;;
esac
/usr/sbin/sendmail -t <<MAIL
To: ${1:-root}
Subject: leakwatch on $(uname -n): $LEAKWATCH_EVENT ${LEAKWATCH_COMM:-}
Auto-Submitted: auto-generated

$LEAKWATCH_TEXT
MAIL
