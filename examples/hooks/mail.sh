#!/bin/sh
# A mail for what matters: leakwatch --pattern apache2 --on-event 'examples/hooks/mail.sh root'
# The first word is the recipient. By the machine's own sendmail, as Postfix, Exim, msmtp and nullmailer bring
# one; or, where there is a second word or a credential leakwatch-smtp (see notify.conf), by curl to the mail
# server that this file names in lines of curl's --config. Only root may read it:
#     url = "smtps://mail.example.org"
#     user = "name:password"
#     mail-from = "leakwatch@example.org"
set -eu
case $LEAKWATCH_EVENT in
    leak | order | outcome | not_ended | signal_failed | memory_failure) ;;
    *) exit 0 ;;
esac
to=${1:-root}
file=${2:-${CREDENTIALS_DIRECTORY:-/nonexistent}/leakwatch-smtp}
# A process chose its own name: of that only these characters get into a header, and the text is one line.
name=$(printf '%.60s' "${LEAKWATCH_COMM:-}" | LC_ALL=C tr -c 'A-Za-z0-9 ._/:@+-' '?')
text=$(printf '%s' "$LEAKWATCH_TEXT" | LC_ALL=C tr '\000-\037\177' '?')
mail() {
    cat <<MAIL
To: $to
Subject: leakwatch on $(uname -n): $LEAKWATCH_EVENT $name
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

$text
MAIL
}
if [ -e "$file" ]; then
    from=$(sed -n 's/^mail-from *= *"*\([^"]*\).*/\1/p' "$file")
    {
        echo "From: $from"
        LC_ALL=C date '+Date: %a, %d %b %Y %H:%M:%S %z'
        mail
    } | curl --config "$file" --silent --show-error --max-time 20 --proto '=smtp,smtps' \
        --mail-rcpt "$to" --crlf --upload-file -
else
    # -i: a line with a dot alone does not end the mail.
    mail | /usr/sbin/sendmail -t -i
fi
