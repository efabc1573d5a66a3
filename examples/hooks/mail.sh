#!/bin/sh
# A mail for what matters: leakwatch --pattern apache2 --on-event 'examples/hooks/mail.sh root'
# Needs a sendmail, as Postfix, Exim, msmtp and nullmailer bring one. $1 is the recipient.
case $LEAKWATCH_EVENT in
    leak | order | outcome | not_ended | signal_failed | memory_failure) ;;
    *) exit 0 ;;
esac
# A process chose its own name: of that only these characters get into a header, and the text is one line.
name=$(printf '%.60s' "${LEAKWATCH_COMM:-}" | LC_ALL=C tr -c 'A-Za-z0-9 ._/:@+-' '?')
text=$(printf '%s' "$LEAKWATCH_TEXT" | LC_ALL=C tr '\000-\037\177' '?')
# -i: a line with a dot alone does not end the mail.
/usr/sbin/sendmail -t -i <<MAIL
To: ${1:-root}
Subject: leakwatch on $(uname -n): $LEAKWATCH_EVENT $name
Auto-Submitted: auto-generated

$text
MAIL
