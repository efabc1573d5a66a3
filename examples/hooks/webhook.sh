#!/bin/sh
# Posts what matters to a chat, or every event to a program that takes JSON:
#     leakwatch --pattern apache2 --on-event 'examples/hooks/webhook.sh slack /etc/leakwatch/webhook'
# The first word is slack, mattermost, teams, ntfy, or json for the event as leakwatch has it. The file tells
# curl where to, in lines of curl's --config. Who can read it can post there, so it is readable by root only,
# and its content never stands on a command line, where every user would see it:
#     url = "https://hooks.slack.com/services/..."
#     header = "Authorization: Bearer ..."
# Without a file it is the credential leakwatch-webhook of the service; see notify.conf. Needs curl.
set -eu
file=${2:-${CREDENTIALS_DIRECTORY:-/etc/leakwatch}/leakwatch-webhook}
case $1,$LEAKWATCH_EVENT in
    json,* | *,leak | *,order | *,outcome | *,not_ended | *,signal_failed | *,memory_failure) ;;
    *) exit 0 ;;
esac

# A process chose its own name. Of that only visible ASCII characters are kept, and neither quotes nor marks
# that a chat gives a meaning to (a mention of all, a link) keep that meaning.
plain() { printf '%.2000s' "$1" | LC_ALL=C tr -c ' -~' '?'; }
quoted() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }
title=$(plain "leakwatch on $(uname -n): $LEAKWATCH_EVENT")
text=$(plain "$LEAKWATCH_TEXT")
type=application/json
case $1 in
    json) body=$LEAKWATCH_JSON ;;
    slack)
        text=$(printf '%s' "$title: $text" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')
        body="{\"mrkdwn\": false, \"text\": \"$(quoted "$text")\"}"
        ;;
    mattermost)
        # Inside a code block nothing is a mention, and only a backquote would end the block.
        text=$(printf '%s' "$text" | tr '`' "'")
        body="{\"text\": \"$(quoted "$title")\\n\`\`\`\\n$(quoted "$text")\\n\`\`\`\"}"
        ;;
    teams)
        # A TextRun, unlike a TextBlock, knows no Markdown.
        run() { printf '{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "%s"}]}' "$(quoted "$1")"; }
        body="{\"type\": \"message\", \"attachments\": [{
            \"contentType\": \"application/vnd.microsoft.card.adaptive\",
            \"content\": {\"type\": \"AdaptiveCard\", \"version\": \"1.4\",
                \"body\": [$(run "$title"), $(run "$text")]}}]}"
        ;;
    ntfy)
        type=text/plain
        body=$text
        ;;
    *)
        echo "webhook.sh: $1 is none of json, slack, mattermost, teams, ntfy" >&2
        exit 3
        ;;
esac
# ntfy shows the header Title, the others ignore it. By way of a pipe: curl would take a text that begins
# with "@" for the name of a file.
printf '%s' "$body" | curl --config "$file" --fail --silent --show-error --max-time 20 \
    --proto '=http,https' --header "Content-Type: $type" --header "Title: $title" --data-binary @-
