#!/bin/sh
# Posts each event as JSON: leakwatch --pattern apache2 --on-event 'examples/hooks/webhook.sh URL'
# Needs curl. For chats that want a field "text", see the commented line.
exec curl --fail --silent --show-error --max-time 20 \
    --header 'Content-Type: application/json' --data-binary "$LEAKWATCH_JSON" "$1"
# printf '%s' "$LEAKWATCH_TEXT" | jq --raw-input --slurp '{text: .}' | exec curl ... --data-binary @- "$1"
